import { isIP } from 'node:net';
import { conninfo, shellWord, urlPart } from './quoting.js';
import {
  bundleName,
  held,
  libpqSettings,
  looksUp,
  type Recipe,
  type RecipeInput,
  systemRoots,
  until,
} from './recipe-input.js';

const download = (input: RecipeInput): string => {
  const file = bundleName(input);
  const protocol = new URL(input.tls.caBundleUrl).protocol.slice(0, -1);
  const fetch = `curl -fsS --proto '=${protocol}' --max-time 30 -o "$HOME/.usher/${file}.$$" ${shellWord(input.tls.caBundleUrl)}`;
  // Moved into place whole: another psql may be reading it.
  return `(umask 077 && mkdir -p "$HOME/.usher" && ${fetch} && mv -f "$HOME/.usher/${file}.$$" "$HOME/.usher/${file}") &&`;
};

/** macOS has no getent, small Linux images have no dig. */
const lookUp = (input: RecipeInput): string[] => {
  if (!looksUp(input)) return [];
  const host = shellWord(input.host);
  const ask = `{ getent ahostsv4 ${host} || dig +short ${host} A; } 2>/dev/null`;
  return [`usher_hostaddr=$(${ask} | awk '/^[0-9.]+( |$)/ { print $1; exit }') && [ -n "$usher_hostaddr" ] &&`];
};

/** Prints a token. Nothing in it is secret: the keys are where the AWS CLI looks for them. */
const signed = ({ signing, user }: RecipeInput): string =>
  signing === undefined
    ? ''
    : `aws rds generate-db-auth-token --hostname ${shellWord(signing.host)} --port ${signing.port} --region ${shellWord(signing.region)} --username ${shellWord(user)}`;

const sign = (input: RecipeInput): string[] =>
  input.signing === undefined ? [] : [`usher_token=$(${signed(input)}) && [ -n "$usher_token" ] &&`];

/** What stands before the last line, in this order: whatever fails, psql is not run. */
const prepared = (input: RecipeInput): string[] => [download(input), ...lookUp(input), ...sign(input)];

const password = (input: RecipeInput): string =>
  `PGPASSWORD=${input.secret === undefined ? '"$usher_token"' : shellWord(input.secret)}`;

/** Of psql, before its name: what is no secret may be given so too, and what is must be. */
const environment = (input: RecipeInput, secret: string): string =>
  [
    ...(looksUp(input) ? ['PGHOSTADDR="$usher_hostaddr"'] : []),
    `PGSSLROOTCERT="$HOME/.usher/${bundleName(input)}"`,
    secret,
  ].join(' ');

/** The first space keeps it all out of the history of shells with HISTCONTROL=ignorespace. */
const script = (lines: readonly string[]): string => ` ${lines.join('\n ')}`;

const shellNotes = (input: RecipeInput): string[] => [
  until(input),
  ...systemRoots(input),
  ...(looksUp(input)
    ? ['The address is looked up with getent or dig (IPv4); without either set PGHOSTADDR by hand.']
    : []),
];

const HISTORY =
  'The leading space keeps it out of the shell history where HISTCONTROL has ignorespace (zsh: setopt HIST_IGNORE_SPACE).';
const OPTIONS = 'Options of psql may be put after the last line, for example -c "select current_user".';

export const psql = (input: RecipeInput): Recipe => {
  const [life = '', ...rest] = shellNotes(input);
  return {
    client: 'psql',
    text: script([
      ...prepared(input),
      `${environment(input, password(input))} psql ${shellWord(conninfo(libpqSettings(input)))}`,
    ]),
    notes: [
      life,
      `The ${held(input)} reaches psql through its environment, never its arguments; do not pass the text itself to "sh -c", where others on the host could see it.`,
      HISTORY,
      OPTIONS,
      ...rest,
    ],
  };
};

const own = (what: string, { grantId }: RecipeInput): string => `.usher/${what}-${grantId.replace(/[^\w-]/g, '_')}`;

/** A file of one's own, so that the password need not be given each time: `.pgpass` (libpq manual, 32.16). */
const passwordFile = (input: RecipeInput): string => own('pgpass', input);

const passwordLine = (input: RecipeInput): string => {
  const { host, port, dbname, user } = libpqSettings(input);
  return [host, port, dbname, user, input.secret].map((field) => (field ?? '').replace(/[\\:]/g, '\\$&')).join(':');
};

/** printf is a part of the shell itself: the line is no argument of any program. */
const writePassword = (input: RecipeInput): string => {
  const file = `"$HOME/${passwordFile(input)}"`;
  return `(umask 077 && mkdir -p "$HOME/.usher" && rm -f ${file} && printf '%s\\n' ${shellWord(passwordLine(input))} > ${file}) &&`;
};

export const pgpass = (input: RecipeInput): Recipe => {
  const file = `"$HOME/${passwordFile(input)}"`;
  const [fetched = '', ...others] = prepared(input);
  return {
    client: 'pgpass',
    text: script([
      fetched,
      writePassword(input),
      ...others,
      `${environment(input, `PGPASSFILE=${file}`)} psql ${shellWord(conninfo(libpqSettings(input)))}`,
    ]),
    notes: [
      ...shellNotes(input),
      `Once it was run, whatever is built on libpq finds the password by PGPASSFILE=${file}; remove the file when you are done.`,
      HISTORY,
      OPTIONS,
    ],
  };
};

/** For clients that take a URI: what it lacks, the password, is in the file of {@link pgpass}. */
export const libpqUri = (input: RecipeInput): Recipe => {
  const { host = '', port, dbname = '', user = '', ...parameters } = libpqSettings(input);
  const query = Object.entries(parameters).map(([keyword, value]) => `${keyword}=${urlPart(value)}`);
  const place = isIP(host) === 6 ? `[${host}]` : urlPart(host);
  const uri = `postgresql://${urlPart(user)}@${place}:${port}/${urlPart(dbname)}?${query.join('&')}`;
  const variables = environment(input, `PGPASSFILE="$HOME/${passwordFile(input)}"`);
  return {
    client: 'libpq-uri',
    text: script([...lookUp(input), `${variables} psql ${shellWord(uri)}`]),
    notes: [
      ...shellNotes(input),
      'Run the pgpass recipe once before: it saves the password, and the CA bundle. Neither stands in the URI.',
      OPTIONS,
    ],
  };
};

/**
 * A service of one's own (libpq manual, 32.17), for whatever is built on libpq and takes a service name. A value there is the rest
 * of its line, without quotes; libpq drops the white space at its end, so that a name that ends in some has no such recipe.
 */
export const libpqService = (input: RecipeInput): Recipe[] => {
  const settings = Object.entries(libpqSettings(input));
  if (settings.some(([, value]) => /\s$/.test(value))) return [];
  const file = `"$HOME/${own('service', input)}.conf"`;
  const saved = input.secret !== undefined;
  const lines = [
    "'[usher]'",
    ...settings.map(([keyword, value]) => shellWord(`${keyword}=${value}`)),
    ...(looksUp(input) ? ['"hostaddr=$usher_hostaddr"'] : []),
    `"sslrootcert=$HOME/.usher/${bundleName(input)}"`,
    ...(saved ? [`"passfile=$HOME/${passwordFile(input)}"`] : []),
  ];
  const service = `PGSERVICEFILE=${file} PGSERVICE=usher psql`;
  const recipe: Recipe = {
    client: 'libpq-service',
    text: script([
      ...prepared(input),
      ...(saved ? [writePassword(input)] : []),
      `(umask 077 && rm -f ${file} && printf '%s\\n' ${lines.join(' ')} > ${file}) &&`,
      saved ? service : `PGPASSWORD="$usher_token" ${service}`,
    ]),
    notes: [
      ...shellNotes(input),
      saved
        ? `The ${held(input)} is in a file that only you can read; with PGSERVICEFILE=${file} any client of libpq connects by service=usher. Remove both files when you are done.`
        : `With PGSERVICEFILE=${file} any client of libpq connects by service=usher; give it the token in PGPASSWORD.`,
      HISTORY,
      OPTIONS,
    ],
  };
  return [recipe];
};

/** For who signs their own tokens: any client that takes a password takes what it prints. */
export const awsCli = (input: RecipeInput): Recipe => ({
  client: 'aws-cli',
  text: script([signed(input)]),
  notes: [
    until(input),
    'It prints the token: keep it out of arguments and URLs, as in PGPASSWORD="$(…)". The AWS CLI must have the keys of the IAM user or role that the grant was made for.',
  ],
});
