/** Signature Version 4, the half that checks. Source: IAM User Guide, "Create a signed AWS API request". */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

export const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');

const hmac = (key: string | Uint8Array, data: string): Buffer => createHmac('sha256', key).update(data).digest();

/** RFC 3986: `encodeURIComponent` leaves five characters bare that SigV4 wants encoded. */
export const encodeRfc3986 = (text: string): string =>
  encodeURIComponent(text).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);

export interface CredentialScope {
  readonly accessKeyId: string;
  /** `yyyymmdd` */
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

/** @returns undefined where it is not `{key}/{date}/{region}/{service}/aws4_request` */
export function parseScope(text: string): CredentialScope | undefined {
  const match = /^([A-Za-z0-9]{1,128})\/(\d{8})\/([a-z0-9-]+)\/([a-z0-9-]+)\/aws4_request$/.exec(text);
  const [, accessKeyId, date, region, service] = match ?? [];
  if (accessKeyId === undefined || date === undefined || region === undefined || service === undefined)
    return undefined;
  return { accessKeyId, date, region, service };
}

/** `yyyymmddThhmmssZ`; undefined when it is not that or no such moment exists. */
export function parseAmzDate(text: string): Date | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) || date.toISOString() !== iso ? undefined : date;
}

export interface CanonicalRequest {
  readonly method: string;
  readonly path: string;
  /** Decoded names and values, without the signature itself. */
  readonly query: readonly (readonly [string, string])[];
  /** Lower-case names with their values; exactly those that are signed. */
  readonly headers: readonly (readonly [string, string])[];
  readonly payloadHash: string;
}

export function signatureOf(
  request: CanonicalRequest,
  scope: CredentialScope,
  amzDate: string,
  secretAccessKey: string,
): string {
  const query = request.query
    .map(([name, value]) => [encodeRfc3986(name), encodeRfc3986(value)] as const)
    .sort(([a, x], [b, y]) => (a === b ? compare(x, y) : compare(a, b)))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
  const headers = [...request.headers].sort(([a], [b]) => compare(a, b));
  const canonical = [
    request.method,
    request.path,
    query,
    ...headers.map(([name, value]) => `${name}:${value.trim().replaceAll(/ +/g, ' ')}`),
    '',
    headers.map(([name]) => name).join(';'),
    request.payloadHash,
  ].join('\n');
  const scopeText = `${scope.date}/${scope.region}/${scope.service}/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', amzDate, scopeText, sha256(canonical)].join('\n');
  const key = hmac(hmac(hmac(hmac(`AWS4${secretAccessKey}`, scope.date), scope.region), scope.service), 'aws4_request');
  return hmac(key, toSign).toString('hex');
}

/** By code unit, which for the ASCII of encoded names is the byte order that SigV4 asks for. */
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Compares digests, so the time tells nothing and strings of different length need no special case. */
export const sameSecret = (a: string, b: string): boolean =>
  timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest());
