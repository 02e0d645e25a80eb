import { DomainError } from '../platform/errors.js';
import { refuseUnprintable } from './quoting.js';
import { dbeaver, jdbc, nodePostgres } from './recipe-drivers.js';
import type { Recipe, RecipeInput } from './recipe-input.js';
import { pgAdmin, psql, psycopg } from './recipe-libpq.js';

export { applicationName, grantIdOf, type Recipe, type RecipeClient, type RecipeInput } from './recipe-input.js';

/**
 * How to connect with each client. The token is never in an argument or a URL.
 * @throws DomainError invalid/`invalid_input` for values with control characters or a bundle URL that is not https
 */
export const recipes = (input: RecipeInput): Recipe[] => {
  refuse(input);
  return [psql(input), jdbc(input), nodePostgres(input), psycopg(input), pgAdmin(input), dbeaver(input)];
};

const refuse = (input: RecipeInput): void => {
  const { grantId, token, host, database, user, tls } = input;
  const texts = { grantId, token, host, database, user, servername: tls.servername, caBundleUrl: tls.caBundleUrl };
  for (const [what, text] of Object.entries(texts)) refuseUnprintable(what, text);
  if (!/^https?:\/\/[^\s]+$/.test(tls.caBundleUrl)) {
    throw new DomainError('invalid', 'invalid_input', 'A CA bundle has an https URL.');
  }
};
