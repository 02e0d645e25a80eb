import { isIP } from 'node:net';
import { conninfo, scriptString, shellWord } from './quoting.js';
import {
  applicationName,
  bundleName,
  bundleNotes,
  libpqSettings,
  passToken,
  type Recipe,
  type RecipeInput,
  systemRoots,
  until,
  usesSystemRoots,
} from './recipe-input.js';

const download = (input: RecipeInput): string[] => {
  if (usesSystemRoots(input)) return [];
  const file = bundleName(input);
  const protocol = new URL(input.tls.caBundleUrl).protocol.slice(0, -1);
  const fetch = `curl -fsS --proto '=${protocol}' --max-time 30 -o "$HOME/.usher/${file}.$$" ${shellWord(input.tls.caBundleUrl)}`;
  // Moved into place whole: another psql may be reading it.
  return [
    `(umask 077 && mkdir -p "$HOME/.usher" && ${fetch} && mv -f "$HOME/.usher/${file}.$$" "$HOME/.usher/${file}") &&`,
  ];
};

/** macOS has no getent, small Linux images have no dig. */
const lookUp = (input: RecipeInput): string[] => {
  if (!input.tls.hostaddrNeeded || isIP(input.host)) return [];
  const host = shellWord(input.host);
  const ask = `{ getent ahostsv4 ${host} || dig +short ${host} A; } 2>/dev/null`;
  return [`usher_hostaddr=$(${ask} | awk '/^[0-9.]+( |$)/ { print $1; exit }') && [ -n "$usher_hostaddr" ] &&`];
};

export const psql = (input: RecipeInput): Recipe => {
  const named = input.tls.hostaddrNeeded && !isIP(input.host);
  const environment = [
    ...(named ? ['PGHOSTADDR="$usher_hostaddr"'] : []),
    ...(usesSystemRoots(input) ? [] : [`PGSSLROOTCERT="$HOME/.usher/${bundleName(input)}"`]),
    `PGPASSWORD=${shellWord(input.token)}`,
  ];
  const command = `${environment.join(' ')} psql ${shellWord(conninfo(libpqSettings(input)))}`;
  // The first space keeps it all out of the history of shells with HISTCONTROL=ignorespace.
  return {
    client: 'psql',
    text: ` ${[...download(input), ...lookUp(input), command].join('\n ')}`,
    notes: [
      until(input),
      'The token reaches psql through its environment, never its arguments; do not pass the text itself to "sh -c", where others on the host could see it.',
      'The leading space keeps it out of the shell history where HISTCONTROL has ignorespace (zsh: setopt HIST_IGNORE_SPACE).',
      'Options of psql may be put after the last line, for example -c "select current_user".',
      ...(usesSystemRoots(input) ? [systemRoots(input)] : []),
      ...(named ? ['The address is looked up with getent or dig (IPv4); without either set PGHOSTADDR by hand.'] : []),
    ],
  };
};

export const psycopg = (input: RecipeInput): Recipe => {
  const settings = Object.entries(libpqSettings(input)).map(
    ([keyword, value]) => `    ${keyword}=${scriptString(value)},`,
  );
  const named = input.tls.hostaddrNeeded && !isIP(input.host);
  const file = scriptString(`~/.usher/${bundleName(input)}`);
  return {
    client: 'psycopg',
    text: [
      `import os${named ? ', socket' : ''}`,
      'import psycopg',
      '',
      'connection = psycopg.connect(',
      ...settings,
      ...(named ? [`    hostaddr=socket.gethostbyname(${scriptString(input.host)}),`] : []),
      ...(usesSystemRoots(input) ? [] : [`    sslrootcert=os.path.expanduser(${file}),`]),
      '    password=os.environ["PGPASSWORD"],',
      ')',
    ].join('\n'),
    notes: [
      passToken(input),
      ...bundleNotes(input),
      ...(usesSystemRoots(input) ? [systemRoots(input)] : []),
      'psycopg2 takes the same keywords.',
    ],
  };
};

export const pgAdmin = (input: RecipeInput): Recipe => {
  const { host, port, dbname, user, ...parameters } = libpqSettings(input);
  const server = {
    Name: applicationName(input.grantId),
    Group: 'Usher',
    Host: host,
    Port: Number(port),
    MaintenanceDB: dbname,
    Username: user,
    ConnectionParameters: {
      ...parameters,
      ...(usesSystemRoots(input) ? {} : { sslrootcert: `/absolute/path/to/${bundleName(input)}` }),
    },
  };
  return {
    client: 'pgadmin',
    text: JSON.stringify({ Servers: { '1': server } }, null, 2),
    notes: [
      'Save as servers.json and import it (Tools, Import/Export Servers); paste the token when pgAdmin asks for the password, and do not save it.',
      until(input),
      'Password exec commands of pgAdmin 7.8 and older cut a token at 255 characters.',
      ...(usesSystemRoots(input)
        ? [systemRoots(input)]
        : [`Set sslrootcert to the absolute path of the file from ${input.tls.caBundleUrl}.`]),
      ...(input.tls.hostaddrNeeded && !isIP(input.host)
        ? [`Add the parameter "Host address" with the IP address of ${input.host}.`]
        : []),
    ],
  };
};
