import { shellWord } from './quoting.js';
import {
  absoluteBundle,
  absoluteNote,
  applicationName,
  held,
  libpqSettings,
  looksUp,
  type Recipe,
  type RecipeInput,
  systemRoots,
  until,
} from './recipe-input.js';
import { settingsOnly, settingsOnlyNotes } from './recipe-java.js';

/** What pgAdmin runs when it connects, and takes as the password what it prints. */
const execCommand = ({ signing, user }: RecipeInput): Record<string, string | number> =>
  signing === undefined
    ? {}
    : {
        PasswordExecCommand: `aws rds generate-db-auth-token --hostname ${shellWord(signing.host)} --port ${signing.port} --region ${shellWord(signing.region)} --username ${shellWord(user)}`,
        PasswordExecExpiration: 840,
      };

/** For those whose tokens Usher signs. The access token stands in a file, as no argument may hold it. */
const fetchCommand = (grantId: string): string =>
  `curl -fsS -H "@$HOME/.usher/authorization" -H "content-type: application/json" -d '{"clients":[]}' https://usher.example.com/v1/grants/${grantId}/tokens | python3 -c 'import json,sys; print(json.load(sys.stdin)["token"],end="")'`;

const execNotes = (input: RecipeInput): string[] => {
  if (input.method !== 'iam') return [];
  return [
    input.signing
      ? 'The password exec command signs a new token for each connection; on Windows put the user and host in double quotes.'
      : `Or have pgAdmin ask for tokens itself (Connection, Password exec command; expiration 840 s), with the header "Authorization: Bearer …" in .usher/authorization and your own Usher's address: ${fetchCommand(input.grantId)}`,
    'pgAdmin runs such a command in desktop mode only, and 7.8 and older cut a token at 255 characters.',
  ];
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
    ...execCommand(input),
    ConnectionParameters: { ...parameters, sslrootcert: absoluteBundle(input) },
  };
  return {
    client: 'pgadmin',
    text: JSON.stringify({ Servers: { '1': server } }, null, 2),
    notes: [
      `Save as servers.json and import it (Tools, Import/Export Servers)${input.signing ? '.' : `; paste the ${held(input)} when pgAdmin asks for the password, and do not save it.`}`,
      until(input),
      ...execNotes(input),
      absoluteNote(input),
      ...systemRoots(input),
      ...(looksUp(input) ? [`Add the parameter "Host address" with the IP address of ${input.host}.`] : []),
    ],
  };
};

export const dbeaver = (input: RecipeInput): Recipe => ({
  client: 'dbeaver',
  text: [
    `URL: ${settingsOnly(input, absoluteBundle(input))}`,
    `Username: ${input.user}`,
    `Password: paste the ${held(input)}; leave "Save password" off`,
  ].join('\n'),
  notes: [
    'New connection, PostgreSQL, connect by URL.',
    until(input),
    ...(input.method === 'iam'
      ? [
          'DBeaver Community has no IAM authentication: each connection needs a token that is still good to be pasted. The Pro editions sign with AWS keys of your own, which only helps in attached mode.',
        ]
      : []),
    absoluteNote(input),
    ...settingsOnlyNotes(input),
  ],
});

export const sqlWorkbench = (input: RecipeInput): Recipe => ({
  client: 'sql-workbench',
  text: [
    'Driver: PostgreSQL (org.postgresql.Driver)',
    `URL: ${settingsOnly(input, absoluteBundle(input))}`,
    `Username: ${input.user}`,
    `Password: paste the ${held(input)}; leave "Save password" off`,
  ].join('\n'),
  notes: [
    'File, Connect window, New connection profile; pgjdbc 42.2.5 or newer as the driver.',
    until(input),
    'Each connection needs the password anew: tick "Separate connection per tab" only if you want to paste it again.',
    absoluteNote(input),
    ...settingsOnlyNotes(input),
  ],
});
