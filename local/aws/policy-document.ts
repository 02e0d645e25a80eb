/**
 * IAM policy documents: parsed once and strictly, so that evaluation never meets a shape it did not expect.
 * Source: AWS IAM User Guide, "Grammar of the IAM JSON policy language"; the messages are those IAM returns.
 */
import { isConditionOperator } from './policy-conditions.ts';

export interface Statement {
  readonly sid?: string;
  readonly effect: 'Allow' | 'Deny';
  readonly actions: readonly string[];
  readonly notActions: boolean;
  /** Empty in a trust policy, whose resource is the role itself. */
  readonly resources: readonly string[];
  readonly notResources: boolean;
  /** Only in a trust policy: `AWS`, `Service` or `Federated` to the names listed; `*` stands for everyone. */
  readonly principals: readonly PrincipalPattern[];
  readonly conditions: readonly Condition[];
}

export interface PrincipalPattern {
  readonly kind: string;
  readonly value: string;
}

export interface Condition {
  readonly operator: string;
  readonly key: string;
  readonly values: readonly string[];
}

export interface PolicyDocument {
  /** `2008-10-17` does not expand policy variables. */
  readonly version: '2012-10-17' | '2008-10-17';
  readonly statements: readonly Statement[];
}

/** `identity` covers managed, inline and session policies and boundaries; `trust` is a role's assume-role policy. */
export type PolicyKind = 'identity' | 'trust';

export class MalformedPolicy extends Error {
  override readonly name = 'MalformedPolicy';
}

const statementKeys = new Set([
  'Sid',
  'Effect',
  'Action',
  'NotAction',
  'Resource',
  'NotResource',
  'Principal',
  'Condition',
]);

const malformed = (message: string): never => {
  throw new MalformedPolicy(message);
};

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function strings(value: unknown): string[] {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0) malformed('Syntax errors in policy.');
  return list.map((entry) => (typeof entry === 'string' ? entry : malformed('Syntax errors in policy.')));
}

/** @throws MalformedPolicy with the text that IAM puts into `MalformedPolicyDocument` */
export function parsePolicy(text: string, kind: PolicyKind): PolicyDocument {
  const document = readObject(text);
  for (const key of Object.keys(document))
    if (!['Version', 'Id', 'Statement'].includes(key)) malformed('Syntax errors in policy.');
  const version = document['Version'] ?? '2008-10-17';
  if (version !== '2012-10-17' && version !== '2008-10-17') return malformed('Syntax errors in policy.');
  const raw = document['Statement'];
  const list: unknown[] = Array.isArray(raw) ? raw : [raw];
  if (list.length === 0) malformed('Syntax errors in policy.');
  const statements = list.map((entry) => parseStatement(entry, kind));
  const sids = statements.flatMap((statement) => (statement.sid === undefined ? [] : [statement.sid]));
  if (new Set(sids).size !== sids.length) malformed('Statement IDs (SID) in a single policy must be unique.');
  return { version, statements };
}

function readObject(text: string): Record<string, unknown> {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return malformed('Syntax errors in policy.');
  }
  return isRecord(document) ? document : malformed('Syntax errors in policy.');
}

function parseStatement(raw: unknown, kind: PolicyKind): Statement {
  if (!isRecord(raw)) return malformed('Syntax errors in policy.');
  for (const key of Object.keys(raw)) if (!statementKeys.has(key)) malformed('Syntax errors in policy.');
  const effect = raw['Effect'];
  if (effect !== 'Allow' && effect !== 'Deny') return malformed('Syntax errors in policy.');
  const sid = raw['Sid'];
  if (sid !== undefined && (typeof sid !== 'string' || !/^[A-Za-z0-9]*$/.test(sid)))
    malformed(
      'Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*',
    );
  const statement: Statement = {
    effect,
    ...parseActions(raw),
    ...parseResources(raw, kind),
    principals: parsePrincipals(raw['Principal'], kind),
    conditions: parseConditions(raw['Condition']),
  };
  return typeof sid === 'string' && sid !== '' ? { ...statement, sid } : statement;
}

function parseActions(raw: Record<string, unknown>): Pick<Statement, 'actions' | 'notActions'> {
  if ((raw['Action'] === undefined) === (raw['NotAction'] === undefined))
    malformed('Policy statement must contain actions.');
  const actions = strings(raw['Action'] ?? raw['NotAction']);
  for (const action of actions) {
    if (action === '*') continue;
    if (!action.includes(':')) malformed('Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.');
    if (!/^[A-Za-z0-9-]+:[A-Za-z0-9*?]+$/.test(action)) malformed('Syntax errors in policy.');
  }
  return { actions, notActions: raw['NotAction'] !== undefined };
}

function parseResources(raw: Record<string, unknown>, kind: PolicyKind): Pick<Statement, 'resources' | 'notResources'> {
  const given = raw['Resource'] ?? raw['NotResource'];
  if (kind === 'trust') {
    if (given !== undefined) malformed('Has prohibited field Resource.');
    return { resources: [], notResources: false };
  }
  if ((raw['Resource'] === undefined) === (raw['NotResource'] === undefined))
    malformed('Policy statement must contain resources.');
  const resources = strings(given);
  for (const resource of resources) {
    if (resource === '*') continue;
    if (!/^arn:[^:]*:[^:]*:[^:]*:[^:]*:.+$/.test(withoutVariables(resource)))
      malformed(`Resource ${resource} must be in ARN format or "*".`);
  }
  // The one construct on which a small evaluator and the real one were seen to differ: refuse it rather than guess.
  if (raw['NotResource'] !== undefined && resources.some((resource) => resource.includes('${')))
    malformed('NotResource with a policy variable is not supported here.');
  return { resources, notResources: raw['NotResource'] !== undefined };
}

/** A variable's name holds a colon, which must not count as one of the ARN's own. */
const withoutVariables = (resource: string): string => resource.replaceAll(/\$\{[^}]*\}/g, 'x');

function parsePrincipals(raw: unknown, kind: PolicyKind): PrincipalPattern[] {
  if (kind === 'identity') return raw === undefined ? [] : malformed('Policy document should not specify a principal.');
  if (raw === '*') return [{ kind: 'AWS', value: '*' }];
  if (!isRecord(raw) || Object.keys(raw).length === 0) return malformed('Missing required field Principal');
  return Object.entries(raw).flatMap(([key, value]) => {
    if (!['AWS', 'Service', 'Federated'].includes(key)) malformed('Syntax errors in policy.');
    return strings(value).map((name) => ({ kind: key, value: name }));
  });
}

function parseConditions(raw: unknown): Condition[] {
  if (raw === undefined) return [];
  if (!isRecord(raw)) return malformed('Syntax errors in policy.');
  return Object.entries(raw).flatMap(([operator, keys]) => {
    if (!isConditionOperator(operator)) malformed(`Invalid Condition type : ${operator}.`);
    if (!isRecord(keys)) return malformed('Syntax errors in policy.');
    return Object.entries(keys).map(([key, value]) => {
      if (!key.includes(':')) malformed('Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.');
      return { operator, key, values: conditionValues(value) };
    });
  });
}

function conditionValues(value: unknown): string[] {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  return list.map((entry) =>
    typeof entry === 'string' || typeof entry === 'boolean' || typeof entry === 'number'
      ? String(entry)
      : malformed('Syntax errors in policy.'),
  );
}
