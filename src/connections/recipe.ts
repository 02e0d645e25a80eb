import { DomainError } from '../platform/errors.js';
import { refuseUnprintable } from './quoting.js';
import { dbeaver, pgAdmin, sqlWorkbench } from './recipe-desktop.js';
import { nodePostgres, npgsql, pgx, psycopg, psycopg2 } from './recipe-drivers.js';
import { held, type Recipe, type RecipeClient, type RecipeInput } from './recipe-input.js';
import { awsJdbcWrapper, jdbc, jdbcTrustStore } from './recipe-java.js';
import { psqlPowerShell } from './recipe-powershell.js';
import { awsCli, libpqService, libpqUri, pgpass, psql } from './recipe-shell.js';

export { applicationName, grantIdOf, type Recipe, type RecipeClient, type RecipeInput } from './recipe-input.js';

const one =
  (make: (input: RecipeInput) => Recipe) =>
  (input: RecipeInput): Recipe[] => [make(input)];

/** What lasts for hours may be saved in a file of one's own; a token of 15 minutes is not worth it. */
const forPassword =
  (make: (input: RecipeInput) => Recipe) =>
  (input: RecipeInput): Recipe[] =>
    input.method === 'password' ? [make(input)] : [];

/** In the order in which they are shown; each gives nothing where it does not fit. */
const all: readonly (readonly [RecipeClient, (input: RecipeInput) => Recipe[]])[] = [
  ['psql', one(psql)],
  ['psql-powershell', one(psqlPowerShell)],
  ['libpq-service', libpqService],
  ['pgpass', forPassword(pgpass)],
  ['libpq-uri', forPassword(libpqUri)],
  ['psycopg', one(psycopg)],
  ['psycopg2', one(psycopg2)],
  ['jdbc', one(jdbc)],
  ['jdbc-truststore', one(jdbcTrustStore)],
  ['aws-jdbc-wrapper', awsJdbcWrapper],
  ['node-postgres', one(nodePostgres)],
  ['pgx', one(pgx)],
  ['npgsql', one(npgsql)],
  ['pgadmin', one(pgAdmin)],
  ['dbeaver', one(dbeaver)],
  ['sql-workbench', one(sqlWorkbench)],
  ['aws-cli', (input) => (input.signing ? [awsCli(input)] : [])],
];

/**
 * How to connect with each client. The token or password is never in an argument or a URL.
 * @param clients only these; all without it
 * @throws DomainError invalid/`invalid_input` for values with control characters or a bundle URL that is not https
 */
export const recipes = (input: RecipeInput, clients?: readonly string[]): Recipe[] => {
  const wanted = clients === undefined ? all : all.filter(([client]) => clients.includes(client));
  if (wanted.length > 0) refuse(input);
  return wanted.flatMap(([, make]) => make(input));
};

const refuse = (input: RecipeInput): void => {
  const { grantId, secret, host, database, user, tls } = input;
  const { servername, caBundleUrl } = tls;
  const texts = { grantId, host, database, user, servername, caBundleUrl };
  for (const [what, text] of Object.entries(texts)) refuseUnprintable(what, text);
  if (secret !== undefined) refuseUnprintable(held(input), secret);
  if (!/^https?:\/\/[^\s]+$/.test(tls.caBundleUrl)) {
    throw new DomainError('invalid', 'invalid_input', 'A CA bundle has an https URL.');
  }
};
