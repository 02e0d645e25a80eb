import type { ContextEntry, EvaluationResult } from '@aws-sdk/client-iam';
import type { Principal } from './principal.js';

/** One thing that was tried in an account. */
export interface DoorItem {
  /** `identity`, `connect-role`, or an IAM action. */
  readonly name: string;
  readonly verdict: 'pass' | 'warn' | 'fail';
  readonly finding: string;
  readonly remedy: string | null;
}

/** One call of IAM's simulator. */
export interface Question {
  readonly actions: readonly string[];
  readonly on: string;
  readonly context?: ContextEntry[];
}

/** The same for users and roles. */
const ON_PERSON = ['Get{}', 'Get{}Policy', 'List{}Policies', 'ListAttached{}Policies', 'Put{}Policy', 'Delete{}Policy'];
const OWN_POLICIES = [
  'iam:CreatePolicy',
  'iam:CreatePolicyVersion',
  'iam:DeletePolicy',
  'iam:DeletePolicyVersion',
  'iam:GetPolicyVersion',
  'iam:ListPolicyVersions',
];
const DISCOVERY = ['rds:DescribeDBClusters', 'rds:DescribeDBInstances', 'rds:DescribeDBProxies'];

/** What Usher does in an account for anybody: it signs, and where there are regions it looks for databases. */
export const forAnybody = (connectRoleArn: string, regions: readonly string[]): Question[] => [
  { actions: ['sts:AssumeRole', 'sts:SetSourceIdentity'], on: connectRoleArn },
  ...(regions.length === 0 ? [] : [{ actions: DISCOVERY, on: '*' }]),
];

/**
 * What attached mode does for one person: it may be allowed for some and not for others, as their paths and boundaries are.
 * @param boundary ARN of their permissions boundary, of which the simulator does not know
 */
export function forPerson(
  { arn, kind, partition, accountId, name }: Principal,
  boundary: string | undefined,
): Question[] {
  const policy = `arn:${partition}:iam::${accountId}:policy/usher/${kind}/${name}/usher-${kind}-${name}-1`;
  const named = (action: string): string => `iam:${action.replace('{}', kind === 'user' ? 'User' : 'Role')}`;
  const bounded = boundary === undefined ? [] : [entry('iam:PermissionsBoundary', boundary)];
  const context = [...bounded, entry('iam:PolicyARN', policy)];
  return [
    { actions: [...ON_PERSON.map(named), 'iam:SimulatePrincipalPolicy'], on: arn, context: bounded },
    { actions: ['Attach{}Policy', 'Detach{}Policy'].map(named), on: arn, context },
    { actions: OWN_POLICIES, on: policy },
    { actions: ['iam:GetAccountSummary', 'iam:ListPolicies'], on: '*' },
  ];
}

const entry = (ContextKeyName: string, value: string): ContextEntry => ({
  ContextKeyName,
  ContextKeyType: 'string',
  ContextKeyValues: [value],
});

/** What the answer to one question says. */
export function itemOf(
  source: string,
  on: string,
  { EvalActionName: name = '', EvalDecision }: EvaluationResult,
): DoorItem {
  const what = on === '*' ? name : `${name} on ${on}`;
  return EvalDecision === 'allowed'
    ? { name, verdict: 'pass', finding: `${source} is allowed ${what}.`, remedy: null }
    : {
        name,
        verdict: 'fail',
        finding: `${source} is not allowed ${what}.`,
        remedy: 'Allow it; npm run usher -- aws-policy prints the policies that it needs.',
      };
}
