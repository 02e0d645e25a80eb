import { isIP } from 'node:net';
import type { recipeClients } from './tokens.contract.js';

/** What the answer to a token or a password holds that a client needs. */
export interface RecipeInput {
  readonly grantId: string;
  readonly method: 'iam' | 'password';
  /**
   * The token or the password. It stands in the recipes for a shell alone, where it is no argument of any program. Undefined for
   * who signs their own tokens: see `signing`.
   */
  readonly secret: string | undefined;
  /** End of the token; of the grant where there is none. */
  readonly expiresAt: Date;
  /** Where to connect. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  /** Attached mode: what the person's own keys sign for. */
  readonly signing?: { readonly host: string; readonly port: number; readonly region: string };
  readonly tls: {
    readonly mode: 'verify-full' | 'verify-ca';
    readonly servername: string;
    readonly hostaddrNeeded: boolean;
    readonly authority: 'rds' | 'amazon-trust';
    readonly caBundleUrl: string;
  };
}

export type RecipeClient = (typeof recipeClients)[number];

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

/** libpq verifies `host`; `hostaddr` says where to connect. An IP address is put there at once, a name is looked up. */
export const libpqSettings = (input: RecipeInput): Record<string, string> => ({
  host: input.tls.hostaddrNeeded ? input.tls.servername : input.host,
  ...(input.tls.hostaddrNeeded && isIP(input.host) ? { hostaddr: input.host } : {}),
  port: String(input.port),
  dbname: input.database,
  user: input.user,
  sslmode: input.tls.mode,
  application_name: applicationName(input.grantId),
});

/** The address must be looked up by name, to be given beside the name that is verified. */
export const looksUp = (input: RecipeInput): boolean => input.tls.hostaddrNeeded && !isIP(input.host);

/** What the person holds, in a word. */
export const held = ({ method }: RecipeInput): 'token' | 'password' => (method === 'iam' ? 'token' : 'password');

export const until = ({ method, signing, expiresAt }: RecipeInput): string => {
  const end = expiresAt.toISOString();
  if (signing) return `Each token is good for 15 minutes; sign one when you connect. The grant ends at ${end}.`;
  return method === 'iam'
    ? `Connect before ${end}; a session that is open then stays open until the grant ends.`
    : `The password works until ${end}, when the grant ends and its sessions with it, or until you ask for another.`;
};

export const passSecret = (input: RecipeInput): string =>
  `Give the ${held(input)} to the program in the environment variable PGPASSWORD. ${until(input)}`;

/** How the bundle gets where a program looks for it. */
export const bundleNotes = (input: RecipeInput): string[] => [
  `Save ${input.tls.caBundleUrl} as .usher/${bundleName(input)} in the home directory first; the psql recipe does so.`,
];

export const absoluteBundle = (input: RecipeInput): string => `/absolute/path/to/${bundleName(input)}`;

export const absoluteNote = (input: RecipeInput): string =>
  `Set sslrootcert to the absolute path of the file from ${input.tls.caBundleUrl}.`;

/** A file works with every client; the roots of the system only with some. */
export const systemRoots = ({ tls }: RecipeInput): string[] =>
  tls.authority === 'amazon-trust'
    ? [
        'The certificate is of Amazon Trust Services, whose roots most systems have: with libpq 16 or newer sslrootcert=system needs no file.',
      ]
    : [];
