/**
 * Decides one request from the policies that apply to it: an explicit Deny anywhere wins; then each layer that is present
 * (boundary, session, identity) must allow. Source: IAM User Guide, "Policy evaluation logic". Pure.
 */
import { conditionHolds } from './policy-conditions.ts';
import type { PolicyDocument, PrincipalPattern, Statement } from './policy-document.ts';
import { matchArn, matchPattern } from './policy-pattern.ts';
import type { Context } from './policy-pattern.ts';

export interface PolicyLayers {
  /** Managed and inline policies of the user or role: at least one must allow. */
  readonly identity: readonly PolicyDocument[];
  /** Session policies of a role session. Absent: the session was made without one and is not narrowed. */
  readonly session?: readonly PolicyDocument[];
  /** Permissions boundary of the user or role. */
  readonly boundary?: PolicyDocument;
}

export interface Question {
  /** E.g. `rds-db:connect`. */
  readonly action: string;
  /** ARN, or `*` for actions without a resource. */
  readonly resource: string;
  readonly context: Context;
}

export type Decision =
  | { readonly outcome: 'allowed' }
  | { readonly outcome: 'explicitDeny'; readonly layer: Layer }
  | { readonly outcome: 'implicitDeny'; readonly layer: Layer };
export type Refused = Exclude<Decision, { readonly outcome: 'allowed' }>;
/** In the words of IAM's own messages: `because no {layer} policy allows …`. */
export type Layer = 'identity-based' | 'session' | 'permissions boundary' | 'trust';

export function evaluate(layers: PolicyLayers, question: Question): Decision {
  const present: [Layer, readonly PolicyDocument[]][] = [['identity-based', layers.identity]];
  if (layers.boundary !== undefined) present.push(['permissions boundary', [layers.boundary]]);
  if (layers.session !== undefined) present.push(['session', layers.session]);
  for (const [layer, documents] of present)
    if (documents.some((document) => anyStatement(document, 'Deny', question)))
      return { outcome: 'explicitDeny', layer };
  for (const [layer, documents] of present)
    if (!documents.some((document) => anyStatement(document, 'Allow', question)))
      return { outcome: 'implicitDeny', layer };
  return { outcome: 'allowed' };
}

const anyStatement = (document: PolicyDocument, effect: Statement['effect'], question: Question): boolean =>
  document.statements.some(
    (statement) => statement.effect === effect && statementApplies(document, statement, question),
  );

function statementApplies(document: PolicyDocument, statement: Statement, question: Question): boolean {
  const variables = document.version === '2012-10-17' ? question.context : undefined;
  return (
    actionApplies(statement, question.action) &&
    resourceApplies(statement, question.resource, variables) &&
    statement.conditions.every((condition) => conditionHolds(condition, question.context, variables))
  );
}

/** Action names are compared without case; they hold no variables. */
const actionApplies = (statement: Statement, action: string): boolean =>
  statement.actions.some((pattern) => matchPattern(pattern.toLowerCase(), action.toLowerCase(), undefined)) !==
  statement.notActions;

const resourceApplies = (statement: Statement, resource: string, variables: Context | undefined): boolean =>
  statement.resources.some((pattern) => pattern === '*' || matchArn(pattern, resource, variables)) !==
  statement.notResources;

/** Who asks to assume a role, by every name that a trust policy may use for it. */
export interface TrustSubject {
  /** User ARN, or the session's `arn:aws:sts::…:assumed-role/…`. */
  readonly arn: string;
  /** For a session, the ARN of its role; else as `arn`. */
  readonly principalArn: string;
  readonly accountId: string;
}

/**
 * `named`: the trust policy names this very principal, so the caller's own policies need not allow.
 * `account`: it trusts the account, so the caller's own policies must allow as well.
 */
export type Trust = 'named' | 'account' | 'denied' | 'silent';

export function evaluateTrust(document: PolicyDocument, subject: TrustSubject, question: Question): Trust {
  let best: Trust = 'silent';
  for (const statement of document.statements) {
    const match = principalMatch(statement.principals, subject);
    if (match === 'silent' || !trustStatementApplies(document, statement, question)) continue;
    if (statement.effect === 'Deny') return 'denied';
    if (best !== 'named') best = match;
  }
  return best;
}

const trustStatementApplies = (document: PolicyDocument, statement: Statement, question: Question): boolean =>
  actionApplies(statement, question.action) &&
  statement.conditions.every((condition) =>
    conditionHolds(condition, question.context, document.version === '2012-10-17' ? question.context : undefined),
  );

function principalMatch(
  principals: readonly PrincipalPattern[],
  subject: TrustSubject,
): 'named' | 'account' | 'silent' {
  let best: 'named' | 'account' | 'silent' = 'silent';
  for (const { kind, value } of principals) {
    if (kind !== 'AWS') continue;
    if (value === subject.arn || value === subject.principalArn) return 'named';
    // A wildcard is not a name: within an account the caller still needs permission of its own.
    if (value === '*' || value === subject.accountId || isAccountRoot(value, subject.accountId)) best = 'account';
  }
  return best;
}

const isAccountRoot = (value: string, accountId: string): boolean =>
  /^arn:[a-z-]+:iam::(\d{12}):root$/.exec(value)?.[1] === accountId;
