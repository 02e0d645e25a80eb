import type { JWTPayload } from 'jose';
import { ClaimError, optionalText } from './claims.js';

/** The mark of a token whose subject is the client itself, as RFC 9068 §2.2 has it for the client-credentials grant. */
const SUBJECT = 'subject';

/**
 * The client that a token stands for; undefined for one of a person. A token that providers known to us give to clients is never a
 * person's, whatever is said of its provider: else whoever holds a client's secret would be somebody.
 * @param marks by which the provider tells such tokens: `subject`, a claim, or a claim and its value; undefined: it has none
 * @throws ClaimError where it is no person's, and not clearly a client's either
 */
export function clientIn(claims: JWTPayload, marks: readonly string[] | undefined): string | undefined {
  const marked = marks?.some((mark) => hasMark(claims, mark)) ?? false;
  if (!marked && !standsForClient(claims)) return undefined;
  if (!marked)
    throw new ClaimError('stands for a client and for no person, and its provider has no serviceTokens for it');
  // whoever signed in would be the service: a mark that people's tokens have as well is no mark
  if (claims['auth_time'] !== undefined) throw new ClaimError('stands for a client, and says that a person signed in');
  const [client, other] = new Set(clientsOf(claims));
  if (client === undefined || other !== undefined)
    throw new ClaimError('does not say for which one client it stands (client_id, azp)');
  return client;
}

/** RFC 9068, OpenID Connect, Okta, Entra ID. */
const clientsOf = (claims: JWTPayload): string[] =>
  ['client_id', 'azp', 'cid', 'appid'].flatMap((claim) => optionalText(claims, claim) ?? []);

/** As RFC 9068 and Okta have it, and Auth0. */
const isItsOwnSubject = (claims: JWTPayload): boolean =>
  clientsOf(claims).some((client) => claims.sub === client || claims.sub === `${client}@clients`);

/** Without being told: its own subject; Auth0; Keycloak; Entra ID, whose tokens of applications have no scopes of a person. */
const standsForClient = (claims: JWTPayload): boolean =>
  isItsOwnSubject(claims) ||
  claims['gty'] === 'client-credentials' ||
  claims['idtyp'] === 'app' ||
  typeof claims['clientHost'] === 'string' ||
  (typeof claims['oid'] === 'string' && claims['oid'] === claims.sub && claims['scp'] === undefined);

function hasMark(claims: JWTPayload, mark: string): boolean {
  if (mark === SUBJECT) return isItsOwnSubject(claims);
  const [claim = '', ...rest] = mark.split('=');
  const said = Object.hasOwn(claims, claim) ? claims[claim] : undefined;
  return rest.length === 0 ? said !== undefined && said !== null : said === rest.join('=');
}
