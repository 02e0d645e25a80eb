import type { Hop } from './diagnosis-hop.js';
import { fault, ok, unknown } from './diagnosis-hop.js';
import { mintAnew } from './diagnosis-errors.js';
import { cutBy } from './token-limits.js';

/** What a token has to be for this login to succeed. */
export interface TokenWanted {
  /** Name and port it must be signed for. */
  readonly host: string;
  readonly port: number;
  readonly region: string;
  readonly user: string;
  /** Names that lead to the same server and cannot be signed for. */
  readonly aliases: readonly string[];
  readonly now: Date;
}

/** What a well-formed token says of itself; nothing that is secret. */
export interface ReadToken {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly region: string;
  readonly service: string;
  readonly signedAt: Date;
  readonly expiresSeconds: number;
  /** Keys of a session (ASIA…), which end, and whose session token must be in it. */
  readonly temporary: boolean;
  readonly hasSessionToken: boolean;
}

const REQUIRED = [
  'Action',
  'DBUser',
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Date',
  'X-Amz-Expires',
  'X-Amz-Signature',
  'X-Amz-SignedHeaders',
];
/** As AWS allows a request to differ from its own clock (Signature Version 4, "RequestTimeTooSkewed"). */
export const SKEW_MS = 5 * 60_000;

/** Faults of the text itself, which a token has from where it was copied or sent, not from where it was signed. */
function textFault(text: string): Hop | undefined {
  const again = (finding: string, cure: string): Hop => fault('token', finding, cure);
  if (/^["'`]|["'`]$/.test(text))
    return again('The token stands in quotes.', 'Take the quotes away: they are no part of it.');
  if (/\s/.test(text))
    return again(
      'There are blanks or line breaks in the token: it was wrapped, or a newline came with it.',
      'Copy it as one line; in a shell: PGPASSWORD="$(… | tr -d \'[:space:]\')".',
    );
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text))
    return again(
      'The token begins with a scheme (https://).',
      'Take the scheme away: the token begins with the host name.',
    );
  if (/%25[0-9a-f]{2}/i.test(text) || /^[^?]*%3f/i.test(text))
    return again(
      'The token was percent-encoded once more.',
      'Give it as it is, as a password and not in a URL; only a postgres:// URL wants it encoded, and decodes it again.',
    );
  return undefined;
}

/**
 * Reads a token by the names of its parameters, in whatever order they stand.
 * @returns the token, or the hop that says what is wrong with its shape
 */
function parse(text: string): ReadToken | Hop {
  const [, host, port, query] = /^([A-Za-z0-9.-]{1,253}):(\d{1,5})\/\?(.*)$/.exec(text) ?? [];
  if (host === undefined || query === undefined)
    return fault('token', `This is no token of RDS: it does not begin with host:port/?Action=connect.`, mintAnew);
  const raw = new Map(query.split('&').map((part) => [part.split('=')[0] ?? '', part.slice(part.indexOf('=') + 1)]));
  if (/[/+=]/.test(raw.get('X-Amz-Credential') ?? '') || /[/+=]/.test(raw.get('X-Amz-Security-Token') ?? ''))
    return fault(
      'token',
      'The token was percent-decoded on its way.',
      'Give it as it is; where it goes through a URL, encode it once for that URL.',
    );
  const value = (name: string): string => decoded(raw.get(name) ?? '');
  const whole =
    REQUIRED.every((name) => raw.has(name)) &&
    /^[0-9a-f]{64}$/.test(value('X-Amz-Signature')) &&
    value('X-Amz-SignedHeaders') === 'host';
  if (!whole) return cut(text);
  const [, temporary, region, service] =
    /^(AK|AS)IA[A-Z0-9]+\/\d{8}\/([a-z0-9-]+)\/([a-z0-9-]+)\/aws4_request$/.exec(value('X-Amz-Credential')) ?? [];
  const signedAt = instantOf(value('X-Amz-Date'));
  if (region === undefined || service === undefined || signedAt === undefined)
    return fault('token', 'The scope or the date of the signature cannot be read.', mintAnew);
  return {
    ...{ host, port: Number(port), user: value('DBUser'), region, service, signedAt },
    expiresSeconds: Number(value('X-Amz-Expires')),
    temporary: temporary === 'AS',
    hasSessionToken: raw.has('X-Amz-Security-Token'),
  };
}

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
};

function instantOf(text: string): Date | undefined {
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text) ?? [];
  const at = new Date(`${y ?? ''}-${mo ?? ''}-${d ?? ''}T${h ?? ''}:${mi ?? ''}:${s ?? ''}Z`);
  return Number.isNaN(at.getTime()) ? undefined : at;
}

/** PostgreSQL before 14 took a password message of 1,000 bytes at most; the others are in `token-limits.ts`. */
function cut(text: string): Hop {
  const { length } = text;
  const known = cutBy(length + 1).find(({ limit }) => limit === length || limit === length + 1);
  const who =
    known?.client ??
    (length >= 995 && length <= 1_000 ? 'servers and poolers built on PostgreSQL 13 and older' : undefined);
  return fault(
    'token',
    `The token is cut: ${length} characters are left of it, and its end is missing.${who === undefined ? '' : ` So cut it: ${who}.`}`,
    known?.advice ??
      'Give it in PGPASSWORD or a password callback, where nothing cuts it; cutBy in the answer of the mint names who does.',
  );
}

/** The first thing about a token that would have it refused, the token as it was read, or both. */
export function lookAtToken(text: string, wanted: TokenWanted): { hops: Hop[]; read?: ReadToken } {
  const wrong = textFault(text);
  if (wrong) return { hops: [wrong] };
  const read = parse(text);
  if ('name' in read) return { hops: [read] };
  const found = addressFault(read, wanted) ?? timeFault(read, wanted.now) ?? keyFault(read);
  return { hops: [found ?? ok('token', 'The token is whole, is for this login, and is not over.')], read };
}

const resign = (wanted: TokenWanted): string =>
  `Sign for it: aws rds generate-db-auth-token --hostname ${wanted.host} --port ${wanted.port} --region ${wanted.region} --username ${wanted.user}, or POST /v1/grants/{id}/tokens.`;

function addressFault(read: ReadToken, wanted: TokenWanted): Hop | undefined {
  const other = (finding: string): Hop => fault('token', finding, resign(wanted));
  if (read.service !== 'rds-db') return other(`The token is signed for the service ${read.service}, not rds-db.`);
  if (read.host !== wanted.host) {
    const why = whyNoHost(read.host, wanted);
    return other(`The token is signed for ${read.host}, and must be for ${wanted.host}.${why}`);
  }
  if (read.port !== wanted.port)
    return other(`The token is signed for port ${read.port}, and must be for ${wanted.port}.`);
  if (read.region !== wanted.region)
    return other(`The token is signed for the region ${read.region}, and the target is in ${wanted.region}.`);
  if (read.user === wanted.user) return undefined;
  return other(
    read.user.toLowerCase() === wanted.user.toLowerCase()
      ? `The token is for the same user in other letters: IAM and PostgreSQL tell ${wanted.user} from it by case.`
      : `The token is for another user than ${wanted.user}.`,
  );
}

function whyNoHost(host: string, { aliases }: TokenWanted): string {
  if (/^[\d.]+$/.test(host)) return ' No token can be signed for an address.';
  if (/^localhost$/i.test(host)) return ' The near end of a tunnel cannot be signed for.';
  if (/\.cluster-custom-/i.test(host)) return ' A custom endpoint cannot be signed for: its writer can.';
  return aliases.includes(host) || !/\.rds\./i.test(host)
    ? ' An alias cannot be signed for, only the name that RDS gave.'
    : '';
}

function timeFault({ signedAt, expiresSeconds }: ReadToken, now: Date): Hop | undefined {
  const age = now.getTime() - signedAt.getTime();
  if (age < -SKEW_MS)
    return fault(
      'clock',
      `The token was signed ${Math.round(-age / 60_000)} minutes ahead of Usher's clock: the clock of the machine that signed is wrong.`,
      'Set that clock (chronyc tracking, w32tm /resync), then sign a new token.',
    );
  if (age <= Math.min(expiresSeconds, 900) * 1_000) return undefined;
  return fault(
    'token',
    `The token was signed at ${signedAt.toISOString()} and is over since ${Math.floor((age - 900_000) / 60_000)} minutes: a token opens sessions for 15 minutes.`,
    `${mintAnew} If it was just signed, the clock of the machine that signed is behind.`,
  );
}

function keyFault({ temporary, hasSessionToken }: ReadToken): Hop | undefined {
  if (temporary && !hasSessionToken)
    return fault(
      'token',
      'It was signed with the keys of a session, and the session token is not in it.',
      'Give the signer AWS_SESSION_TOKEN beside the two keys.',
    );
  return undefined;
}

/** A mint of Usher's, as it is on record. */
export interface MintOnRecord {
  readonly issuedAt: Date;
  readonly expiresAt: Date;
  readonly host: string;
  readonly port: number;
}

/** Whether a token is one of Usher's, told by second and address alone: nothing of a token is ever kept. */
export function originOf(
  read: ReadToken,
  mints: readonly MintOnRecord[],
  mode: 'session' | 'attached',
  now: Date,
): Hop {
  const second = (at: Date): number => Math.floor(at.getTime() / 1_000);
  const mint = mints.find(
    ({ issuedAt, host, port }) =>
      second(issuedAt) === second(read.signedAt) && host === read.host && port === read.port,
  );
  if (mint === undefined)
    return mode === 'session'
      ? fault(
          'token',
          'Usher has no such token on record for this grant: it was signed with other keys, which this grant allows nothing.',
          mintAnew,
        )
      : read.temporary
        ? unknown(
            'token',
            'It was signed with the keys of a session; when that ends, the token ends too, and only AWS knows when.',
          )
        : ok('token', 'The token is whole, is for this login, and is not over.');
  if (now < mint.expiresAt) return ok('token', `The token is one that Usher minted at ${mint.issuedAt.toISOString()}.`);
  return fault(
    'token',
    `Usher minted it, and it ended at ${mint.expiresAt.toISOString()}, with the keys that signed it.`,
    mintAnew,
  );
}
