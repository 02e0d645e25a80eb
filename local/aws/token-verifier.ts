/**
 * Judges an RDS login token as the database side of RDS does. Pure over the keys, the clock and the IAM decision.
 * The order of checks is part of the contract: shape → host, port, user, region → key and session token → signature →
 * expiry → end of the signing credentials → IAM. Tokens are compared by parameter, never by bytes: signers order them
 * differently. Source: RDS User Guide, "Connecting to your DB instance using IAM authentication".
 */
import { partitionOf } from './arn.ts';
import type { Credential } from './credentials.ts';
import type { Decision, Question } from './policy-evaluator.ts';
import { encodeRfc3986, parseAmzDate, parseScope, sameSecret, sha256, signatureOf } from './signature-v4.ts';
import type { CredentialScope } from './signature-v4.ts';

/** What the database knows of the login that the token came with. */
export interface ExpectedLogin {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly region: string;
  /** `db-…`, `cluster-…` or `prx-…` */
  readonly resourceId: string;
}

/** Codes of the `iam-db-auth-error` log. */
export type TokenErrorCode = 'InvalidToken' | 'ExpiredToken' | 'NotAuthorized';
export type TokenVerdict =
  /** `principal`: ARN of the user, or of the session `arn:aws:sts::…:assumed-role/…`. */
  | { readonly ok: true; readonly principal: string }
  /** `reason` never repeats any part of the token. */
  | { readonly ok: false; readonly code: TokenErrorCode; readonly reason: string };

export interface TokenAuthority {
  readonly accountId: string;
  now(): Date;
  findKey(accessKeyId: string): Credential | undefined;
  /** ARN that names the holder of the key. */
  principalOf(credential: Credential): string;
  /** The decision of IAM on `rds-db:connect`; adds the condition keys of the principal. */
  decide(credential: Credential, question: Question): Decision;
}

export interface VerifierSwitches {
  /** Whether `aws:CurrentTime` is supplied to the decision. There are reports that RDS does not supply it. Default true. */
  readonly currentTime?: boolean;
}

const maxAgeSeconds = 900;
const maxAheadSeconds = 300;
/** RDS itself takes long tokens; this only bounds the work on nonsense. */
const maxTokenLength = 16_384;

const required = [
  'Action',
  'DBUser',
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Date',
  'X-Amz-Expires',
  'X-Amz-Signature',
  'X-Amz-SignedHeaders',
] as const;
type Parameter = (typeof required)[number];

interface ParsedToken {
  readonly host: string;
  readonly port: string;
  readonly user: string;
  readonly scope: CredentialScope;
  readonly amzDate: string;
  readonly signedAt: Date;
  readonly expiresSeconds: number;
  readonly sessionToken: string | undefined;
  readonly signature: string;
  readonly query: readonly (readonly [string, string])[];
}

class Refusal extends Error {
  readonly code: TokenErrorCode;
  constructor(code: TokenErrorCode, reason: string) {
    super(reason);
    this.code = code;
  }
}

const refuse = (reason: string, code: TokenErrorCode = 'InvalidToken'): never => {
  throw new Refusal(code, reason);
};

export function verifyToken(
  token: string,
  expect: ExpectedLogin,
  authority: TokenAuthority,
  switches: VerifierSwitches = {},
): TokenVerdict {
  try {
    const parsed = parseToken(token);
    checkAddressee(parsed, expect);
    const credential = checkKey(parsed, authority);
    checkSignature(parsed, credential);
    checkTime(parsed, credential, authority.now());
    checkPermission(credential, expect, authority, switches);
    return { ok: true, principal: authority.principalOf(credential) };
  } catch (error) {
    if (error instanceof Refusal) return { ok: false, code: error.code, reason: error.message };
    throw error;
  }
}

function parseToken(token: string): ParsedToken {
  if (token === '') return refuse('the token is empty');
  if (token.length > maxTokenLength) return refuse('the token is too long');
  // Printable ASCII without blanks: a trailing newline or a `https://` prefix is a client's mistake that RDS refuses too.
  const [, host, port, queryText] = /^([A-Za-z0-9.-]+):(\d{1,5})\/\?([\x21-\x7e]+)$/.exec(token) ?? [];
  if (host === undefined || port === undefined || queryText === undefined)
    return refuse('the token is not of the form host:port/?parameters');
  const { values, sessionToken } = parseParameters(queryText);
  if (values['Action'] !== 'connect') refuse('Action is not connect');
  if (values['X-Amz-Algorithm'] !== 'AWS4-HMAC-SHA256') refuse('X-Amz-Algorithm is not AWS4-HMAC-SHA256');
  if (values['X-Amz-SignedHeaders'] !== 'host') refuse('X-Amz-SignedHeaders is not host');
  const scope = parseScope(values['X-Amz-Credential']) ?? refuse('X-Amz-Credential is malformed');
  const signedAt = parseAmzDate(values['X-Amz-Date']) ?? refuse('X-Amz-Date is malformed');
  const expires = values['X-Amz-Expires'];
  if (!/^[1-9]\d{0,5}$/.test(expires) || Number(expires) > maxAgeSeconds)
    refuse(`X-Amz-Expires is not between 1 and ${maxAgeSeconds}`);
  const { 'X-Amz-Signature': signature, ...signed } = values;
  const query = Object.entries(signed);
  if (sessionToken !== undefined) query.push(['X-Amz-Security-Token', sessionToken]);
  return {
    host,
    port,
    user: values['DBUser'],
    scope,
    amzDate: values['X-Amz-Date'],
    signedAt,
    expiresSeconds: Number(expires),
    sessionToken,
    signature,
    query,
  };
}

function parseParameters(text: string): { values: Record<Parameter, string>; sessionToken: string | undefined } {
  const found = new Map<string, string>();
  for (const part of text.split('&')) {
    const equals = part.indexOf('=');
    if (equals < 1) refuse('a parameter has no name or no value');
    const name = decode(part.slice(0, equals));
    if (found.has(name)) refuse('a parameter occurs twice');
    found.set(name, decode(part.slice(equals + 1)));
  }
  const sessionToken = found.get('X-Amz-Security-Token');
  const take = (name: Parameter): string => found.get(name) ?? refuse(`${name} is missing`);
  const values: Record<Parameter, string> = {
    Action: take('Action'),
    DBUser: take('DBUser'),
    'X-Amz-Algorithm': take('X-Amz-Algorithm'),
    'X-Amz-Credential': take('X-Amz-Credential'),
    'X-Amz-Date': take('X-Amz-Date'),
    'X-Amz-Expires': take('X-Amz-Expires'),
    'X-Amz-Signature': take('X-Amz-Signature'),
    'X-Amz-SignedHeaders': take('X-Amz-SignedHeaders'),
  };
  if (found.size !== required.length + (sessionToken === undefined ? 0 : 1)) refuse('there is a parameter too many');
  return { values, sessionToken };
}

function decode(text: string): string {
  const plain = tryDecode(text);
  // One spelling only: a bare `+` or a half-encoded value would be read differently by different servers.
  if (plain === undefined || encodeRfc3986(plain) !== text)
    return refuse('a parameter is not percent-encoded as RFC 3986 asks');
  return plain;
}

function tryDecode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function checkAddressee(parsed: ParsedToken, expect: ExpectedLogin): void {
  if (parsed.host !== expect.host) refuse('the token was signed for another host');
  if (parsed.port !== String(expect.port)) refuse('the token was signed for another port');
  if (parsed.user !== expect.user) refuse('the token was signed for another user');
  if (parsed.scope.region !== expect.region) refuse('the token was signed for another region');
  if (parsed.scope.service !== 'rds-db') refuse('the token was signed for another service');
  if (!parsed.amzDate.startsWith(parsed.scope.date)) refuse('the dates in the token disagree');
}

function checkKey(parsed: ParsedToken, authority: TokenAuthority): Credential {
  const credential = authority.findKey(parsed.scope.accessKeyId) ?? refuse('the access key is not known');
  if (credential.kind === 'user') {
    if (credential.status !== 'Active') refuse('the access key is inactive');
    if (parsed.sessionToken !== undefined) refuse('a session token came with a key that has none');
  } else if (parsed.sessionToken === undefined) {
    refuse('the session token is missing');
  } else if (!sameSecret(parsed.sessionToken, credential.sessionToken)) {
    refuse('the session token does not belong to the access key');
  }
  return credential;
}

const emptyPayload = sha256('');

function checkSignature(parsed: ParsedToken, credential: Credential): void {
  const expected = signatureOf(
    {
      method: 'GET',
      path: '/',
      query: parsed.query,
      headers: [['host', `${parsed.host}:${parsed.port}`]],
      payloadHash: emptyPayload,
    },
    parsed.scope,
    parsed.amzDate,
    credential.secretAccessKey,
  );
  if (!sameSecret(expected, parsed.signature)) refuse('the signature does not match');
}

function checkTime(parsed: ParsedToken, credential: Credential, now: Date): void {
  const age = (now.getTime() - parsed.signedAt.getTime()) / 1000;
  if (age > parsed.expiresSeconds) refuse('the token has expired', 'ExpiredToken');
  if (age < -maxAheadSeconds) refuse('the token was signed too far in the future');
  if (credential.kind === 'session' && credential.expiresAt.getTime() <= now.getTime())
    refuse('the credentials that signed the token have expired', 'ExpiredToken');
}

function checkPermission(
  credential: Credential,
  expect: ExpectedLogin,
  authority: TokenAuthority,
  switches: VerifierSwitches,
): void {
  const resource = `arn:${partitionOf(expect.region)}:rds-db:${expect.region}:${authority.accountId}:dbuser:${expect.resourceId}/${expect.user}`;
  // Never aws:SourceIp: RDS does not supply it, so a policy that asks for it must fail here as it does there.
  const context = switches.currentTime === false ? {} : { 'aws:CurrentTime': authority.now().toISOString() };
  const decision = authority.decide(credential, { action: 'rds-db:connect', resource, context });
  if (decision.outcome === 'allowed') return;
  const who = authority.principalOf(credential);
  const why = decision.outcome === 'explicitDeny' ? 'an explicit deny in a' : 'no';
  refuse(
    `IAM policy assumed by the caller '${who}' is not authorized to perform rds-db:connect on ${resource}: ${why} ${decision.layer} policy`,
    'NotAuthorized',
  );
}
