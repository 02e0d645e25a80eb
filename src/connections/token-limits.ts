/** A client, or what stands between it and the server, that is known to cut what is longer. */
export interface TokenLimit {
  readonly client: string;
  /** Characters that reach the server; tokens are ASCII, so these are bytes as well. */
  readonly limit: number;
  readonly advice: string;
}

/**
 * RDS itself has no such limit. These come from release notes and field reports, among them pgadmin-org/pgadmin4#6877 and
 * agroal/pgagroal#942; where the release that mended it is not certain, none is named.
 */
const known: readonly TokenLimit[] = [
  { client: 'psql 13 and older, at its prompt', limit: 100, advice: 'Give the token in PGPASSWORD.' },
  {
    client: 'PgBouncer, old releases',
    limit: 160,
    advice: 'Update it, or connect to the endpoint without it.',
  },
  {
    client: 'pgAdmin 7.8 and older, password exec command',
    limit: 255,
    advice: 'Update it, or paste the token when asked for the password.',
  },
  { client: 'pgagroal and pgexporter', limit: 256, advice: 'Connect to the endpoint without them.' },
  {
    client: 'libpq, old releases, password file',
    limit: 320,
    advice: 'Update libpq, or give the token in PGPASSWORD.',
  },
  { client: 'ODBC drivers (psqlODBC)', limit: 1_024, advice: 'Use a driver that takes a password of any length.' },
];

/** Who would cut a token of this length, the tightest first. A token that was cut fails as `PAM authentication failed`. */
export const cutBy = (length: number): TokenLimit[] => known.filter(({ limit }) => length > limit);
