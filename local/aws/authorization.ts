/** From a key to its holder, that holder's policies, and a decision. */
import { ApiError } from './api.ts';
import type { Credential } from './credentials.ts';
import type { Role, User } from './iam-model.ts';
import type { IamStore } from './iam-store.ts';
import { evaluate } from './policy-evaluator.ts';
import type { Decision, PolicyLayers, Question, Refused } from './policy-evaluator.ts';
import type { Context } from './policy-pattern.ts';

/**
 * The user or role behind a key; undefined once it has been deleted, which leaves its sessions without any permission.
 * A role made anew under the old name is another one: its id tells.
 */
function holder(iam: IamStore, credential: Credential): User | Role | undefined {
  if (credential.kind === 'user') return iam.users.get(credential.userName);
  const role = iam.roles.get(credential.session.roleName);
  return role !== undefined && credential.session.userId.startsWith(`${role.id}:`) ? role : undefined;
}

/** `arn:aws:iam::…:user/…` or `arn:aws:sts::…:assumed-role/…`. */
export function principalArn(iam: IamStore, credential: Credential): string {
  if (credential.kind === 'session') return credential.session.arn;
  return iam.users.get(credential.userName)?.arn ?? iam.arn('user', '/', credential.userName);
}

/** Layers of a user or role as they are felt now: inline, managed in their default version, and the boundary. */
export function layersOf(iam: IamStore, identity: User | Role): PolicyLayers {
  const managed = (arn: string) => {
    const policy = iam.policies.get(arn);
    const version = policy?.versions.get(policy.defaultVersionId);
    return version === undefined ? [] : [version.parsed];
  };
  const inline = [...identity.inline.values()].map((document) => document.parsed);
  const [boundary] = identity.boundaryArn === undefined ? [] : managed(identity.boundaryArn);
  return {
    identity: iam.felt(identity, [...inline, ...[...identity.attached].flatMap(managed)]),
    ...(boundary === undefined ? {} : { boundary }),
  };
}

/** Condition keys that describe the caller. Source: IAM User Guide, "AWS global condition context keys". */
export function principalContext(iam: IamStore, credential: Credential): Context {
  const common = { 'aws:PrincipalAccount': iam.accountId };
  if (credential.kind === 'user') {
    const user = iam.users.get(credential.userName);
    return {
      ...common,
      ...tagContext(user?.tags ?? {}),
      'aws:PrincipalArn': principalArn(iam, credential),
      'aws:PrincipalType': 'User',
      'aws:username': credential.userName,
      'aws:userid': user?.id ?? '',
    };
  }
  const { session } = credential;
  return {
    ...common,
    ...tagContext({ ...iam.roles.get(session.roleName)?.tags, ...session.tags }),
    'aws:PrincipalArn': session.roleArn,
    'aws:PrincipalType': 'AssumedRole',
    'aws:userid': session.userId,
    'aws:TokenIssueTime': session.issuedAt.toISOString(),
    ...(session.sourceIdentity === undefined ? {} : { 'aws:SourceIdentity': session.sourceIdentity }),
  };
}

const tagContext = (tags: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(tags).map(([key, value]) => [`aws:PrincipalTag/${key}`, value]));

/** The decision for the holder of a key; the caller's own condition keys are added to the question's. */
export function decide(iam: IamStore, credential: Credential, question: Question): Decision {
  const identity = holder(iam, credential);
  if (identity === undefined) return { outcome: 'implicitDeny', layer: 'identity-based' };
  const session = credential.kind === 'session' ? credential.session.policies : undefined;
  return evaluate(
    { ...layersOf(iam, identity), ...(session === undefined ? {} : { session }) },
    { ...question, context: { ...question.context, ...principalContext(iam, credential) } },
  );
}

/** In the words of AWS: who may not do what on what, and which kind of policy is to blame. */
export function accessDenied(who: string, action: string, resource: string, decision: Refused): ApiError {
  const because =
    decision.outcome === 'explicitDeny'
      ? `with an explicit deny in a${decision.layer === 'identity-based' ? 'n' : ''} ${decision.layer} policy`
      : `because no ${decision.layer} policy allows the ${action} action`;
  return new ApiError(
    'AccessDenied',
    `User: ${who} is not authorized to perform: ${action} on resource: ${resource} ${because}`,
    403,
  );
}
