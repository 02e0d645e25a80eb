/** STS: who am I, and roles assumed with session policies, tags and a source identity. */
import { ApiError, validationError } from './api.ts';
import type { Call, Handlers, Parameters } from './api.ts';
import { accessDenied, decide, principalArn, principalContext } from './authorization.ts';
import type { RoleSession } from './credentials.ts';
import { readDocument } from './iam-model.ts';
import type { Role } from './iam-model.ts';
import type { IamStore } from './iam-store.ts';
import type { PolicyDocument } from './policy-document.ts';
import { evaluateTrust } from './policy-evaluator.ts';
import type { Question, Refused } from './policy-evaluator.ts';

const maxSessionPolicyLength = 2048;
const maxChainedSeconds = 3600;

/** @param all the accounts whose roles can be assumed from this one */
export function stsHandlers(iam: IamStore, all: () => readonly IamStore[]): Handlers {
  return {
    GetCallerIdentity: (call) => ({
      Arn: principalArn(iam, call.credential),
      UserId: String(principalContext(iam, call.credential)['aws:userid']),
      Account: iam.accountId,
    }),
    AssumeRole: (call) => assumeRole(iam, call, all()),
  };
}

interface AssumeRoleRequest {
  readonly roleArn: string;
  readonly sessionName: string;
  readonly sourceIdentity: string | undefined;
  readonly tags: Record<string, string>;
  readonly durationSeconds: number;
  readonly policies: PolicyDocument[] | undefined;
  /** Of the session policy, for `PackedPolicySize`. */
  readonly policyLength: number;
  readonly externalId: string | undefined;
}

function assumeRole(iam: IamStore, call: Call, all: readonly IamStore[]) {
  const roleArn = call.parameters.required('RoleArn');
  const theirs =
    all.find(({ accountId, partition }) => roleArn.startsWith(`arn:${partition}:iam::${accountId}:`)) ?? iam;
  const request = readRequest(theirs, call);
  const role = [...theirs.roles.values()].find((candidate) => candidate.arn === request.roleArn);
  const who = principalArn(iam, call.credential);
  // A role that does not exist answers as one that does not trust the caller: STS does not tell them apart.
  if (role === undefined)
    throw accessDenied(who, 'sts:AssumeRole', request.roleArn, { outcome: 'implicitDeny', layer: 'identity-based' });
  authorize(iam, call, role, request);
  checkDuration(call, role, request.durationSeconds);
  const arn = `arn:${iam.partition}:sts::${theirs.accountId}:assumed-role/${role.name}/${request.sessionName}`;
  const session: RoleSession = {
    arn,
    roleArn: role.arn,
    roleName: role.name,
    sessionName: request.sessionName,
    userId: `${role.id}:${request.sessionName}`,
    sourceIdentity: request.sourceIdentity,
    tags: request.tags,
    policies: request.policies,
    issuedAt: call.now,
  };
  const expiresAt = new Date(Math.floor(call.now.getTime() / 1000 + request.durationSeconds) * 1000);
  const key = theirs.credentials.createSessionKey(session, expiresAt);
  return {
    Credentials: {
      AccessKeyId: key.accessKeyId,
      SecretAccessKey: key.secretAccessKey,
      SessionToken: key.sessionToken,
      Expiration: key.expiresAt,
    },
    AssumedRoleUser: { AssumedRoleId: session.userId, Arn: arn },
    ...(request.policies === undefined ? {} : { PackedPolicySize: packedPercent(request.policyLength) }),
    SourceIdentity: request.sourceIdentity,
  };
}

/** The real packing is not published: the share of the plain-text limit, which is close enough to watch it grow. */
const packedPercent = (length: number): number => Math.max(1, Math.ceil((length / maxSessionPolicyLength) * 100));

function readRequest(iam: IamStore, call: Call): AssumeRoleRequest {
  const { parameters } = call;
  const roleArn = parameters.required('RoleArn');
  if (!/^arn:[a-z-]+:iam::\d{12}:role\/.+$/.test(roleArn))
    throw new ApiError('ValidationError', `${roleArn} is invalid`);
  const tags = readTags(parameters);
  return {
    roleArn,
    sessionName: personName(parameters.required('RoleSessionName'), 'roleSessionName'),
    sourceIdentity: readSourceIdentity(call),
    tags,
    durationSeconds: readDuration(parameters),
    ...readPolicies(iam, parameters),
    externalId: parameters.optional('ExternalId'),
  };
}

/** Grammar of RoleSessionName and SourceIdentity. */
function personName(value: string, field: string): string {
  const prefix = `Value '${value}' at '${field}' failed to satisfy constraint: Member must`;
  if (value.length < 2) throw validationError(`${prefix} have length greater than or equal to 2`);
  if (value.length > 64) throw validationError(`${prefix} have length less than or equal to 64`);
  if (!/^[\w+=,.@-]*$/.test(value)) throw validationError(`${prefix} satisfy regular expression pattern: [\\w+=,.@-]*`);
  return value;
}

/** Set once, a source identity stays with every session made from that one. */
function readSourceIdentity(call: Call): string | undefined {
  const given = call.parameters.optional('SourceIdentity');
  const inherited = call.credential.kind === 'session' ? call.credential.session.sourceIdentity : undefined;
  if (given === undefined) return inherited;
  if (inherited !== undefined && inherited !== given)
    throw new ApiError('AccessDenied', 'The source identity of the calling session cannot be changed.', 403);
  return personName(given, 'sourceIdentity');
}

function readTags(parameters: Parameters): Record<string, string> {
  const tags = parameters.tags();
  if (Object.keys(tags).length > 50)
    throw validationError(
      "Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50",
    );
  for (const [key, value] of Object.entries(tags))
    if (key.length === 0 || key.length > 128 || value.length > 256)
      throw validationError(
        "Value at 'tags' failed to satisfy constraint: key of 1 to 128, value of up to 256 characters",
      );
  return tags;
}

function readDuration(parameters: Parameters): number {
  const seconds = parameters.integer('DurationSeconds') ?? 3600;
  const prefix = `Value '${seconds}' at 'durationSeconds' failed to satisfy constraint: Member must have value`;
  if (seconds < 900) throw validationError(`${prefix} greater than or equal to 900`);
  if (seconds > 43_200) throw validationError(`${prefix} less than or equal to 43200`);
  return seconds;
}

function readPolicies(iam: IamStore, parameters: Parameters): Pick<AssumeRoleRequest, 'policies' | 'policyLength'> {
  const inline = parameters.optional('Policy');
  const arns = parameters.structures('PolicyArns.member').map((entry) => entry.required('arn'));
  if (inline === undefined && arns.length === 0) return { policies: undefined, policyLength: 0 };
  // Here, unlike in IAM, whitespace counts.
  if (inline !== undefined && inline.length > maxSessionPolicyLength)
    throw validationError(
      `Value at 'policy' failed to satisfy constraint: Member must have length less than or equal to ${maxSessionPolicyLength}`,
    );
  if (arns.length > 10)
    throw validationError(
      "Value at 'policyArns' failed to satisfy constraint: Member must have length less than or equal to 10",
    );
  const policyLength = (inline?.length ?? 0) + arns.join('').length;
  if (policyLength > maxSessionPolicyLength)
    throw new ApiError(
      'PackedPolicyTooLarge',
      `Packed policy consumes ${packedPercent(policyLength)}% of allotted space, please use smaller policy.`,
    );
  const managed = arns.map((arn) => {
    const policy = iam.policies.get(arn);
    const version = policy?.versions.get(policy.defaultVersionId);
    if (version === undefined) throw new ApiError('InvalidParameterValue', `PolicyArn ${arn} does not exist`);
    return version.parsed;
  });
  const own = inline === undefined ? [] : [readDocument(inline, 'identity').parsed];
  return { policies: [...own, ...managed], policyLength };
}

/** `sts:AssumeRole`, and what the request carries besides, each allowed by the role's trust and by the caller's own policies. */
function authorize(iam: IamStore, call: Call, role: Role, request: AssumeRoleRequest): void {
  const context = {
    'aws:CurrentTime': call.now.toISOString(),
    'sts:RoleSessionName': request.sessionName,
    ...(request.sourceIdentity === undefined ? {} : { 'sts:SourceIdentity': request.sourceIdentity }),
    ...(request.externalId === undefined ? {} : { 'sts:ExternalId': request.externalId }),
    ...Object.fromEntries(Object.entries(request.tags).map(([key, value]) => [`aws:RequestTag/${key}`, value])),
    ...(Object.keys(request.tags).length === 0 ? {} : { 'aws:TagKeys': Object.keys(request.tags) }),
  };
  const actions = ['sts:AssumeRole'];
  if (request.sourceIdentity !== undefined) actions.push('sts:SetSourceIdentity');
  if (Object.keys(request.tags).length > 0) actions.push('sts:TagSession');
  for (const action of actions) authorizeOne(iam, call, role, { action, resource: role.arn, context });
}

function authorizeOne(iam: IamStore, call: Call, role: Role, question: Question): void {
  const who = principalArn(iam, call.credential);
  const asked = { ...question, context: { ...question.context, ...principalContext(iam, call.credential) } };
  const subject = { arn: who, principalArn: String(asked.context['aws:PrincipalArn']), accountId: iam.accountId };
  const trust = evaluateTrust(role.trust.parsed, subject, asked);
  const own = decide(iam, call.credential, question);
  const deny = (decision: Refused): never => {
    throw accessDenied(who, question.action, question.resource, decision);
  };
  if (trust === 'denied') deny({ outcome: 'explicitDeny', layer: 'trust' });
  if (own.outcome === 'explicitDeny') deny(own);
  // Nobody is told whether it is the trust or the caller's own policies that are silent.
  if (trust === 'silent') deny({ outcome: 'implicitDeny', layer: 'identity-based' });
  // Within an account a trust policy that names the caller is enough; from another both sides must say so.
  const foreign = !role.arn.includes(`:${iam.accountId}:`);
  if (own.outcome === 'implicitDeny' && (foreign || trust === 'account' || own.layer !== 'identity-based')) deny(own);
}

function checkDuration(call: Call, role: Role, seconds: number): void {
  if (call.credential.kind === 'session' && seconds > maxChainedSeconds)
    throw new ApiError(
      'ValidationError',
      'The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining',
    );
  if (seconds > role.maxSessionSeconds)
    throw new ApiError(
      'ValidationError',
      'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.',
    );
}
