import { isIP } from 'node:net';

/** What a token answer holds that a client needs. The token stands in the psql recipe alone. */
export interface RecipeInput {
  readonly grantId: string;
  readonly token: string;
  readonly expiresAt: Date;
  /** Where to connect. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly tls: {
    readonly mode: 'verify-full' | 'verify-ca';
    readonly servername: string;
    readonly hostaddrNeeded: boolean;
    readonly authority: 'rds' | 'amazon-trust';
    readonly caBundleUrl: string;
  };
}

export type RecipeClient = 'psql' | 'jdbc' | 'node-postgres' | 'psycopg' | 'pgadmin' | 'dbeaver';

export interface Recipe {
  readonly client: RecipeClient;
  /** To be used as it is: a shell command, a piece of a program, an import file or a list of settings. */
  readonly text: string;
  readonly notes: readonly string[];
}

const MARKER = 'usher:';

/** `application_name` of a session under a grant: a hint that the client may change, not a proof. At most 63 bytes. */
export const applicationName = (grantId: string): string => `${MARKER}${grantId}`.slice(0, 63);

/** The grant that a session names, if it names one. */
export const grantIdOf = (name: string): string | undefined =>
  name.startsWith(MARKER) && name.length > MARKER.length ? name.slice(MARKER.length) : undefined;

/** Name of the bundle in the person's own `.usher` folder: not in a shared one, where others could put their CA first. */
export const bundleName = ({ tls }: RecipeInput): string => {
  const last = new URL(tls.caBundleUrl).pathname.split('/').at(-1) ?? '';
  return /^[\w.-]{1,100}$/.test(last) && !last.startsWith('.') ? last : 'rds-bundle.pem';
};

export const usesSystemRoots = ({ tls }: RecipeInput): boolean => tls.authority === 'amazon-trust';

/** libpq verifies `host`; `hostaddr` says where to connect. An IP address is put there at once, a name is looked up. */
export const libpqSettings = (input: RecipeInput): Record<string, string> => ({
  host: input.tls.hostaddrNeeded ? input.tls.servername : input.host,
  ...(input.tls.hostaddrNeeded && isIP(input.host) ? { hostaddr: input.host } : {}),
  port: String(input.port),
  dbname: input.database,
  user: input.user,
  sslmode: input.tls.mode,
  ...(usesSystemRoots(input) ? { sslrootcert: 'system' } : {}),
  application_name: applicationName(input.grantId),
});

export const until = ({ expiresAt }: RecipeInput): string =>
  `Connect before ${expiresAt.toISOString()}; a session that is open then stays open until the grant ends.`;

export const passToken = (input: RecipeInput): string =>
  `Give the token to the program in the environment variable PGPASSWORD. ${until(input)}`;

export const bundleNotes = (input: RecipeInput): string[] =>
  usesSystemRoots(input)
    ? []
    : [
        `Save ${input.tls.caBundleUrl} as .usher/${bundleName(input)} in the home directory first; the psql recipe does so.`,
      ];

export const systemRoots = ({ tls }: RecipeInput): string =>
  `sslrootcert=system needs libpq 16 or newer; with an older one download ${tls.caBundleUrl} and name that file instead.`;
