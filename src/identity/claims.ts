import type { JWTPayload } from 'jose';
import type { TokenVerifierConfig, VerifiedPerson } from './identity.contract.js';

/** A claim cannot be used. The message names the claim, never its value. */
export class ClaimError extends Error {
  override readonly name = 'ClaimError';
}

const maxGroups = 1_000;
const maxLength = { sub: 255, name: 254, group: 256, method: 64 } as const;
/** Control characters, line separators, and the direction overrides that make one name look like another. */
const unprintable = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

/** Under which names a provider says things, and what is put before its groups. */
export type ClaimNames = Pick<TokenVerifierConfig, 'groupsClaim' | 'groupsPrefix' | 'awsPrincipalClaim'>;

/**
 * What only another kind of token carries: an ID token tells a client who signed in (OpenID Connect Core 2 and 3.3), a logout
 * token that he went (Back-Channel Logout 2.4). Neither is a key to an API, whatever its audience.
 */
const foreignClaims = ['nonce', 'at_hash', 'c_hash', 's_hash', 'events'];
/** Keycloak says in the claims what others say in the header. */
const foreignKinds = new Set(['id', 'refresh', 'offline', 'logout']);

/** @throws ClaimError for what is another kind of token by its own words */
export function refuseForeignKind(claims: JWTPayload): void {
  const kind = claims['typ'];
  if (foreignClaims.some((claim) => claims[claim] !== undefined))
    throw new ClaimError('is an ID token or a logout token, not an access token');
  if (typeof kind === 'string' && foreignKinds.has(kind.toLowerCase()))
    throw new ClaimError('is not an access token by its own typ');
}

/**
 * Reads the person out of claims whose signature, issuer, audience and times were verified. What is too long or not
 * printable is refused and not cut: a shortened list of groups could lose the very group that a policy forbids.
 * @throws ClaimError
 */
export function personFromClaims(claims: JWTPayload, names: ClaimNames = {}): VerifiedPerson {
  refuseForeignKind(claims);
  const issuer = requiredText(claims, 'iss');
  const subject = requiredText(claims, 'sub');
  const email = claims.email_verified === false ? undefined : optionalText(claims, 'email');
  const preferredUsername = optionalText(claims, 'preferred_username');
  const acr = optionalText(claims, 'acr');
  const { groupsClaim = 'groups', groupsPrefix = '', awsPrincipalClaim } = names;
  const awsPrincipal = awsPrincipalClaim === undefined ? undefined : optionalText(claims, awsPrincipalClaim);
  const authenticatedAt = readAuthTime(claims.auth_time);
  return {
    issuer,
    subject,
    name: email ?? preferredUsername ?? subject,
    ...(email === undefined ? {} : { email }),
    ...(preferredUsername === undefined ? {} : { preferredUsername }),
    groups: readGroups(claims, groupsClaim).map((group) => `${groupsPrefix}${group}`),
    ...(awsPrincipal === undefined ? {} : { awsPrincipal }),
    ...(authenticatedAt === undefined ? {} : { authenticatedAt }),
    ...(acr === undefined ? {} : { acr }),
    ...(claims.amr === undefined || claims.amr === null ? {} : { amr: texts(claims.amr, 'amr', 32, maxLength.method) }),
  };
}

/**
 * A token for this audience that somebody else's client was given may have been passed on by it. `client_id` is the name that
 * RFC 9068 has for what OpenID Connect calls `azp`; where both are there, both must be accepted.
 * @throws ClaimError
 */
export function refuseForeignParty(claims: JWTPayload, accepted: readonly string[] | undefined): void {
  if (accepted === undefined) return;
  const parties = ['azp', 'client_id'].flatMap((claim) => optionalText(claims, claim) ?? []);
  if (parties.length === 0) throw new ClaimError('does not say to which client it was issued (azp, client_id)');
  if (parties.some((party) => !accepted.includes(party)))
    throw new ClaimError('was issued to a client that is not accepted (azp, client_id)');
}

function requiredText(claims: JWTPayload, claim: 'iss' | 'sub'): string {
  const value = claims[claim];
  if (value === undefined || value === '') throw new ClaimError(`has no ${claim}`);
  return text(value, claim, maxLength.sub);
}

/** What a claim says, if it is there. @throws ClaimError */
export function optionalText(claims: JWTPayload, claim: string): string | undefined {
  const value = claims[claim];
  return value === undefined || value === null || value === '' ? undefined : text(value, claim, maxLength.name);
}

function text(value: unknown, claim: string, max: number): string {
  if (typeof value !== 'string') throw new ClaimError(`has a ${claim} that is not text`);
  if (value.length > max) throw new ClaimError(`has a ${claim} longer than ${max} characters`);
  if (unprintable.test(value) || !value.isWellFormed() || value.trim() === '') {
    throw new ClaimError(`has a ${claim} that is not printable`);
  }
  return value;
}

function texts(value: unknown, claim: string, maxCount: number, max: number): string[] {
  const list: unknown = typeof value === 'string' ? value.split(' ').filter((part) => part !== '') : value;
  if (!Array.isArray(list)) throw new ClaimError(`has a ${claim} that is neither a list nor text`);
  if (list.length > maxCount) throw new ClaimError(`has more than ${maxCount} entries in ${claim}`);
  return [...new Set(list.map((entry: unknown) => text(entry, claim, max)))];
}

function readGroups(claims: JWTPayload, path: string): string[] {
  const value = claimAt(claims, path);
  // some providers send a single group as plain text; its name may hold spaces, so it is never split
  if (typeof value === 'string')
    return value.trim() === '' ? [] : texts([value.trim()], path, maxGroups, maxLength.group);
  if (value !== undefined && value !== null) return texts(value, path, maxGroups, maxLength.group);
  // as Entra ID sends for people with many groups (distributed claims, or a mere mark): the groups exist, but not here
  const elsewhere = claims._claim_names;
  const leftOut = isRecord(elsewhere) && Object.hasOwn(elsewhere, path.split('.')[0] ?? path);
  if (leftOut || claims['hasgroups'] === true) {
    throw new ClaimError(`leaves out ${path} because there are too many; let the provider send only those Usher needs`);
  }
  return [];
}

/** A name that itself has dots (`https://example.com/groups`) is found before a path of the same spelling. */
function claimAt(claims: JWTPayload, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  return path
    .split('.')
    .reduce<unknown>((at, step) => (isRecord(at) && Object.hasOwn(at, step) ? at[step] : undefined), claims);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function readAuthTime(value: unknown): Date | undefined {
  if (value === undefined || value === null) return undefined;
  const at = new Date(typeof value === 'number' && value >= 0 ? value * 1_000 : Number.NaN);
  if (Number.isNaN(at.getTime())) throw new ClaimError('has an auth_time that is no time');
  return at;
}
