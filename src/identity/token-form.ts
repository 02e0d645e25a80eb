import { repeatsName } from './repeated-names.js';

/** No key could make this token good. The message names what is wrong with it, and nothing of its content. */
export class TokenFormError extends Error {
  override readonly name = 'TokenFormError';
}

/** A token as it says of itself that it is. Nothing in it was proved. */
export interface UnverifiedToken {
  readonly algorithm: unknown;
  readonly issuer: unknown;
}

type Members = Readonly<Record<string, unknown>>;

/** RFC 9068 access tokens, plain JWTs, and providers that send no `typ`. Anything else is another kind of token. */
const acceptedTypes = new Set(['jwt', 'at+jwt', 'application/at+jwt']);

/**
 * Headers that would let a token choose its own key, or how it is to be read (RFC 7515 §4.1, RFC 7797, RFC 7516): refused,
 * and the addresses in them never called. `x5t` only tells keys apart, and stays.
 */
const refusedHeaders = ['crit', 'jku', 'jwk', 'x5u', 'x5c', 'b64', 'enc', 'zip'];

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Looks at a token before any key is fetched for it: nobody makes Usher call a provider with junk.
 * @throws TokenFormError
 */
export function readUnverified(token: string): UnverifiedToken {
  const parts = token.split('.');
  const [header, claims] = parts.slice(0, 2).map((part) => objectIn(part));
  if (parts.length !== 3 || !header || !claims || bytesOf(parts[2] ?? '') === undefined)
    throw new TokenFormError('is not a signed JWT');
  refuseHeader(header.members);
  for (const [place, { text }] of Object.entries({ header, claims })) {
    if (repeatsName(text)) throw new TokenFormError(`has a name twice in its ${place}`);
  }
  return { algorithm: header.members['alg'], issuer: claims.members['iss'] };
}

function refuseHeader(header: Members): void {
  const refused = refusedHeaders.find((name) => Object.hasOwn(header, name));
  if (refused !== undefined) throw new TokenFormError(`has ${refused} in its header, which Usher does not follow`);
  const { typ, cty, kid } = header;
  if (typ !== undefined && !(typeof typ === 'string' && acceptedTypes.has(typ.toLowerCase())))
    throw new TokenFormError('is not an access token');
  if (typeof cty === 'string' && cty.toLowerCase().endsWith('jwt')) throw new TokenFormError('holds another token');
  if (kid !== undefined && typeof kid !== 'string') throw new TokenFormError('has a kid that is not text');
}

function objectIn(part: string): { text: string; members: Members } | undefined {
  try {
    const text = utf8.decode(bytesOf(part));
    const members: unknown = JSON.parse(text);
    const isObject = typeof members === 'object' && members !== null && !Array.isArray(members);
    return isObject ? { text, members: members as Members } : undefined;
  } catch {
    return undefined;
  }
}

/** Only the one spelling that base64url has for these bytes: no padding, no other alphabet, no bits left over. */
function bytesOf(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, 'base64url');
  return bytes.toString('base64url') === part ? bytes : undefined;
}
