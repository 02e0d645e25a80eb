/** Authenticates an HTTP request by its SigV4 `Authorization` header. Errors are those that IAM, STS and RDS answer with. */
import type { IncomingMessage } from 'node:http';
import { ApiError } from './api.ts';
import type { Credential } from './credentials.ts';
import { parseAmzDate, parseScope, sameSecret, sha256, signatureOf } from './signature-v4.ts';
import type { CredentialScope } from './signature-v4.ts';

export interface Authenticated {
  readonly credential: Credential;
  readonly scope: CredentialScope;
}

const maxSkewMs = 15 * 60 * 1000;

interface Authorization {
  readonly scope: CredentialScope;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
}

/**
 * The service that a request is meant for, before it is known to be genuine, so that its errors speak the right protocol.
 * @throws ApiError MissingAuthenticationToken, IncompleteSignature
 */
export function readAuthorization(request: IncomingMessage): Authorization {
  const header = request.headers.authorization;
  if (header === undefined)
    throw new ApiError('MissingAuthenticationToken', 'Request is missing Authentication Token', 403);
  const incomplete = (what: string): ApiError => new ApiError('IncompleteSignature', `Authorization header ${what}.`);
  const [, fields] = /^AWS4-HMAC-SHA256 +(.+)$/.exec(header) ?? [];
  if (fields === undefined) throw incomplete('requires the algorithm AWS4-HMAC-SHA256');
  const parts = new Map(
    fields
      .split(/, */)
      .map((field) => [field.slice(0, field.indexOf('=')), field.slice(field.indexOf('=') + 1)] as const),
  );
  const scope = parseScope(parts.get('Credential') ?? '');
  const signedHeaders = (parts.get('SignedHeaders') ?? '').split(';');
  const signature = parts.get('Signature');
  if (scope === undefined) throw incomplete("requires a well-formed 'Credential' parameter");
  if (signature === undefined) throw incomplete("requires 'Signature' parameter");
  if (!signedHeaders.includes('host')) throw incomplete("requires 'host' among the SignedHeaders");
  return { scope, signedHeaders, signature };
}

/** @throws ApiError InvalidClientTokenId, SignatureDoesNotMatch, RequestExpired, ExpiredToken */
export function authenticate(
  request: IncomingMessage,
  body: Uint8Array,
  authorization: Authorization,
  find: (accessKeyId: string) => Credential | undefined,
  now: Date,
): Authenticated {
  const { scope } = authorization;
  const credential = find(scope.accessKeyId);
  const token = headerOf(request, 'x-amz-security-token');
  if (credential === undefined || !tokenBelongs(credential, token, authorization.signedHeaders))
    throw new ApiError('InvalidClientTokenId', 'The security token included in the request is invalid.', 403);
  const amzDate = headerOf(request, 'x-amz-date') ?? '';
  const signedAt = parseAmzDate(amzDate);
  if (signedAt === undefined || !amzDate.startsWith(scope.date))
    throw new ApiError(
      'IncompleteSignature',
      'Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP',
    );
  checkSignature(request, body, authorization, amzDate, credential);
  if (Math.abs(now.getTime() - signedAt.getTime()) > maxSkewMs)
    throw new ApiError('RequestExpired', `Signature not yet current or expired: ${amzDate} is more than 15 min. away.`);
  if (credential.kind === 'session' && credential.expiresAt.getTime() <= now.getTime())
    throw new ApiError('ExpiredToken', 'The security token included in the request is expired', 403);
  return { credential, scope };
}

function tokenBelongs(credential: Credential, token: string | undefined, signedHeaders: readonly string[]): boolean {
  if (credential.kind === 'user') return token === undefined && credential.status === 'Active';
  return (
    token !== undefined && signedHeaders.includes('x-amz-security-token') && sameSecret(token, credential.sessionToken)
  );
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(',') : value;
}

function checkSignature(
  request: IncomingMessage,
  body: Uint8Array,
  authorization: Authorization,
  amzDate: string,
  credential: Credential,
): void {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const headers = authorization.signedHeaders.map((name) => [name, headerOf(request, name)] as const);
  const present = headers.filter((header): header is readonly [string, string] => header[1] !== undefined);
  // Of the body as it came, never as a header claims it to be.
  const payloadHash = sha256(body);
  const expected = signatureOf(
    {
      method: request.method ?? 'GET',
      path: url.pathname,
      query: [...url.searchParams],
      headers: present,
      payloadHash,
    },
    authorization.scope,
    amzDate,
    credential.secretAccessKey,
  );
  if (present.length === headers.length && sameSecret(expected, authorization.signature)) return;
  throw new ApiError(
    'SignatureDoesNotMatch',
    'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
    403,
  );
}
