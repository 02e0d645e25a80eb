import { createHash } from 'node:crypto';
import { DomainError } from '../platform/errors.js';
import type { VerifiedPerson } from './identity.contract.js';

/** PostgreSQL cuts a longer identifier without an error (NAMEDATALEN - 1), and two people would share one role. */
const maxBytes = 63;
/** `_` and six hex digits: see `withSuffix`. */
const suffixBytes = 7;
/** Behind a person's name for the role that logs in by password. No name ends like this: see `loginName`. */
const PASSWORD = '_pw';
const maxPlainBytes = maxBytes - PASSWORD.length - suffixBytes;
const shape = /^[a-z_][a-z0-9_]{0,62}$/;

/** Roles of PostgreSQL, of RDS and of Usher, and words that GRANT and pg_hba.conf read as something else. */
const reservedPrefixes = ['pg_', 'rds', 'usher', 'aws', 'current_', 'session_'];
const reservedNames = new Set(['postgres', 'master', 'admin', 'public', 'none', 'user', 'all', 'replication', 'root']);

/** What a login name is made from. */
export type Named = Pick<VerifiedPerson, 'subject' | 'email' | 'preferredUsername'>;

/**
 * The PostgreSQL login role of a person: out of the preferred user name, else the e-mail's local part, else the subject;
 * the first that has a letter or digit left after folding. At most 53 bytes, so that `withSuffix` and `loginBy` always fit.
 * One that ends in `_pw` may be somebody else's login for passwords: it is given with its suffix only, see `endsAsPassword`.
 * @param masterUser the target's master user, whom nobody may become
 * @throws DomainError `invalid_login_name`, `reserved_login_name`
 */
export function loginName(person: Named, masterUser?: string): string {
  const sources = [localPart(person.preferredUsername), localPart(person.email), person.subject];
  const name = sources.map((source) => fold(source ?? '')).find((folded) => folded !== '');
  if (name === undefined) {
    throw invalid('Neither user name, e-mail nor subject has a letter of a to z or a digit.');
  }
  if (name.length > maxPlainBytes) throw invalid(`The login name would be longer than ${maxPlainBytes} characters.`);
  return refuseReserved(name, masterUser);
}

/**
 * The name for a person whose plain one belongs to somebody else: `name_` and 6 hex digits of SHA-256 over issuer and
 * subject. Stable for the person; two people share one in about 16 million cases, so the database's unique key still decides.
 * @param name what `loginName` gave
 * @throws DomainError `invalid_login_name` when the result would not fit
 */
export function withSuffix(name: string, issuer: string, subject: string): string {
  const suffix = createHash('sha256')
    .update(JSON.stringify([issuer, subject]))
    .digest('hex')
    .slice(0, suffixBytes - 1);
  const suffixed = `${name}_${suffix}`;
  if (!shape.test(suffixed) || suffixed.length > maxBytes - PASSWORD.length)
    throw invalid(`"${suffixed}" is no login name of at most ${maxBytes - PASSWORD.length} characters.`);
  return suffixed;
}

/** Whether a name can be read as somebody's login for passwords, so that nobody may have it as it is. */
export const endsAsPassword = (name: string): boolean => name.endsWith(PASSWORD);

/**
 * The role of a person for one way to log in. Tokens and passwords have a role each: on RDS `rds_iam` shuts the password out,
 * so the two could not live side by side on one.
 * @param name the person's own, of at most 60 bytes
 * @throws DomainError `invalid_login_name` for a name from before that limit
 */
export function loginBy(method: 'iam' | 'password', name: string): string {
  if (method === 'iam') return name;
  if (Buffer.byteLength(name) + PASSWORD.length > maxBytes)
    throw invalid(`"${name}" is too long for a login by password, "${name}${PASSWORD}".`);
  return `${name}${PASSWORD}`;
}

/** The person's own name behind a login role of either kind; any other name stays as it is. */
export const nameBehind = (login: string): string => (endsAsPassword(login) ? login.slice(0, -PASSWORD.length) : login);

const localPart = (text: string | undefined): string | undefined => text?.split('@')[0];

/** Accents are folded (é → e); whatever else PostgreSQL would want quoted becomes one underscore. */
function fold(text: string): string {
  const folded = text
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_+|(?<!_)_+$/g, '');
  return /^[0-9]/.test(folded) ? `_${folded}` : folded;
}

function refuseReserved(name: string, masterUser: string | undefined): string {
  const reserved =
    reservedNames.has(name) ||
    reservedPrefixes.some((prefix) => name.startsWith(prefix)) ||
    (masterUser !== undefined && name === masterUser.toLowerCase());
  if (!reserved) return name;
  throw new DomainError(
    'invalid',
    'reserved_login_name',
    `The login name "${name}" is reserved for PostgreSQL, RDS or Usher itself.`,
    'Ask your identity administrator for another preferred_username.',
  );
}

const invalid = (message: string): DomainError =>
  new DomainError(
    'invalid',
    'invalid_login_name',
    message,
    `Ask your identity administrator for a preferred_username of up to ${maxPlainBytes} letters a to z, digits and underscores.`,
  );
