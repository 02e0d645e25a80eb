import { DomainError } from '../platform/errors.js';

/** What was being done, for the message: the IAM action and the ARN or name it was done to. */
export interface AwsCall {
  readonly action: string;
  readonly on: string;
}

type Refusal = (call: AwsCall, code: string) => DomainError;

const denied =
  (advice: (call: AwsCall) => string): Refusal =>
  (call, code) =>
    new DomainError('unavailable', 'aws_denied', `AWS refused ${call.action} on ${call.on} (${code}).`, advice(call));

const later =
  (advice: string, retryAfterSeconds?: number): Refusal =>
  (call, code) =>
    new DomainError(
      'unavailable',
      'aws_unavailable',
      `AWS did not carry out ${call.action} on ${call.on} (${code}).`,
      advice,
      retryAfterSeconds === undefined ? {} : { retryAfterSeconds },
    );

const tooLarge =
  (advice: string): Refusal =>
  (call, code) =>
    new DomainError('invalid', 'policy_too_large', `The policy for ${call.on} is too large (${code}).`, advice);

const accessDenied = denied(({ action }) =>
  action.startsWith('kms:')
    ? `Allow Usher's own principal ${action} on this key, in the key's policy or, where that leaves it to IAM, in a policy of the principal; and check that no SCP or permission boundary takes it away.`
    : action === 'sts:AssumeRole'
      ? "The role must exist and its trust policy must allow Usher's own principal sts:AssumeRole, sts:SetSourceIdentity and sts:TagSession (with the external id, when one is set); Usher's principal needs the same three actions on that role, and no SCP or permission boundary may take them away."
      : `Allow Usher's own principal ${action} on it, and check that no SCP or permission boundary takes it away.`,
);
const expired = denied(
  () => "Usher's own AWS credentials have expired: renew the session or profile that the service was started with.",
);
const badKey = denied(
  () => "AWS does not know Usher's own access key: check the credentials, and the partition they belong to.",
);
const throttled = later('AWS is throttling this account; it was retried and will be again. Try again shortly.', 5);
const unreachable = later('Check that the service reaches the AWS endpoint (network, DNS, proxy, VPC endpoint).', 5);
const serverFault = later('AWS had a fault of its own; try again shortly.', 5);

const unfitKey: Refusal = ({ action, on }, code) =>
  new DomainError(
    'invalid',
    'invalid_input',
    `AWS KMS cannot carry out ${action} with ${on} (${code}).`,
    'Make a key of the spec ECC_NIST_EDWARDS25519 for SIGN_VERIFY, and name that.',
  );

const packed = tooLarge(
  'Session policy and session tags share one packed limit: give a shorter ticket, or set USHER_SESSION_TAGS=false.',
);

const refusals: Readonly<Record<string, Refusal>> = {
  AccessDenied: accessDenied,
  AccessDeniedException: accessDenied,
  UnauthorizedOperation: accessDenied,
  ExpiredToken: expired,
  ExpiredTokenException: expired,
  RequestExpired: denied(() => "Set the clock of the service's host: AWS accepts 5 minutes of difference."),
  RequestTimeTooSkewed: denied(() => "Set the clock of the service's host: AWS accepts 5 minutes of difference."),
  InvalidClientTokenId: badKey,
  UnrecognizedClientException: badKey,
  SignatureDoesNotMatch: denied(() => "Usher's secret access key does not belong to its access key id."),
  PackedPolicyTooLarge: packed,
  PackedPolicyTooLargeException: packed,
  LimitExceeded: tooLarge("Remove inline policies from the principal: IAM's quota for it is used up."),
  LimitExceededException: tooLarge("Remove inline policies from the principal: IAM's quota for it is used up."),
  ValidationError: denied(
    () =>
      'AWS does not take the request as it is. For sts:AssumeRole: USHER_CONNECT_SECONDS may be no more than MaxSessionDuration of the role.',
  ),
  MalformedPolicyDocument: denied(() => 'AWS cannot read the policy document: check partition, region and account.'),
  MalformedPolicyDocumentException: denied(
    () => 'AWS cannot read the policy document: check partition, region and account.',
  ),
  RegionDisabledException: denied(() => 'Activate STS for this region in the account settings of the target account.'),
  NoSuchEntity: noSuchEntity,
  NoSuchEntityException: noSuchEntity,
  ResourceNotFoundException: noSuchEntity,
  UnmodifiableEntity: unmodifiable,
  UnmodifiableEntityException: unmodifiable,
  DisabledException: denied(() => 'Enable the key in AWS KMS, or name another.'),
  KMSInvalidStateException: denied(
    () => 'The key is not usable, as one is that is to be deleted: cancel its deletion, or name another.',
  ),
  NotFoundException: denied(() => 'AWS KMS has no such key there: check region, account and id, or the alias.'),
  InvalidArnException: denied(() => 'AWS KMS has no such key there: check region, account and id, or the alias.'),
  InvalidKeyUsageException: unfitKey,
  UnsupportedOperationException: unfitKey,
  CredentialsProviderError: denied(
    () => 'Give the service AWS credentials: an instance, task or pod role, a profile, or the AWS_* variables.',
  ),
  TimeoutError: unreachable,
  NetworkingError: unreachable,
};
const THROTTLES =
  /^(?:Throttling|ThrottlingException|ThrottledException|RequestLimitExceeded|TooManyRequests.*|SlowDown)$/;
const NETWORK = /^E[A-Z]+$/;

/**
 * The DomainError for whatever an SDK call threw. AWS' own text is left out on purpose: that of
 * SignatureDoesNotMatch repeats the canonical request, session token included.
 */
export const awsFault = (thrown: unknown, call: AwsCall): DomainError => {
  if (thrown instanceof DomainError) return thrown;
  const code = codeOf(thrown);
  const listed = Object.hasOwn(refusals, code) ? refusals[code] : undefined;
  const refuse = listed ?? (THROTTLES.test(code) ? throttled : NETWORK.test(code) ? unreachable : serverFault);
  return refuse(call, code);
};

/** Runs an SDK call; what it throws comes out as a DomainError without secrets. */
export const askAws = async <T>(call: AwsCall, send: () => Promise<T>): Promise<T> => {
  try {
    return await send();
  } catch (thrown) {
    throw awsFault(thrown, call);
  }
};

/** AWS' error code of a thrown value, e.g. `NoSuchEntity`; never its message. */
export const codeOf = (thrown: unknown): string => {
  if (!(thrown instanceof Error)) return 'unknown';
  const system = 'code' in thrown && typeof thrown.code === 'string' && NETWORK.test(thrown.code) ? thrown.code : '';
  const code = system || thrown.name;
  return /^[A-Za-z0-9.]{1,64}$/.test(code) ? code : 'unknown';
};

export const isNoSuchEntity = (thrown: unknown): boolean => /^NoSuchEntity(?:Exception)?$/.test(codeOf(thrown));

function noSuchEntity(call: AwsCall, code: string): DomainError {
  return new DomainError(
    'invalid',
    'invalid_input',
    `AWS knows no ${call.on} (${code}).`,
    'Check the ARN: name, path, account and partition.',
  );
}

function unmodifiable(call: AwsCall, code: string): DomainError {
  return new DomainError(
    'invalid',
    'mode_not_supported',
    `${call.on} can be changed only by the AWS service that owns it (${code}).`,
    'Ask for session mode, or name an IAM user or role of your own.',
  );
}
