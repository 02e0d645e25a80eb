import { isOver } from '../grants/lifecycle.js';
import type { GrantRow } from '../grants/grant.js';
import type { PersonActor } from '../platform/actor.js';
import { DomainError } from '../platform/errors.js';
import type { TlsAdvice } from '../targets/trust-advice.js';
import { recipes, type RecipeInput } from './recipe.js';
import type { ConnectRecipe, ConnectTls, WayInput } from './tokens.contract.js';

/** An endpoint as far as somebody who connects needs it. */
export type Way = Pick<GrantRow['target']['endpoints'][number], 'id' | 'kind' | 'connectHost' | 'tokenHost' | 'port'>;

/** @throws DomainError `grant_closed`, `grant_not_started`, `grant_not_active` for a grant that gives nothing now */
export function refuseState(grant: Pick<GrantRow, 'state' | 'startsAt' | 'endsAt'>, now: Date): void {
  if (isOver(grant.state) || grant.state === 'closing' || now >= grant.endsAt)
    throw new DomainError(
      'conflict',
      'grant_closed',
      `The grant is ${grant.state === 'active' ? 'over' : grant.state}.`,
      'Ask for access anew with POST /v1/requests.',
    );
  if (grant.state === 'scheduled')
    throw new DomainError(
      'conflict',
      'grant_not_started',
      `The grant begins at ${grant.startsAt.toISOString()}.`,
      'Come back then.',
    );
  if (grant.state !== 'active') throw notActive('is being opened');
}

export const notActive = (why: string): DomainError =>
  new DomainError(
    'conflict',
    'grant_not_active',
    `The grant ${why}.`,
    'GET /v1/grants/{id}?wait=active answers when it is open.',
  );

/**
 * The endpoint that was asked for: by its id, else the first of a kind, else the one to use when none was named.
 * @throws DomainError `invalid_input` with those there are
 */
export function endpointFor<E extends Way>(
  endpoints: readonly E[],
  { endpoint: kind, endpointId }: Pick<WayInput, 'endpoint' | 'endpointId'>,
  usual: (endpoints: readonly E[]) => E | undefined,
): E {
  const fitting = endpoints.filter(
    (one) => (kind === undefined || one.kind === kind) && (endpointId === undefined || one.id === endpointId),
  );
  const endpoint = kind === undefined && endpointId === undefined ? usual(endpoints) : fitting[0];
  if (endpoint) return endpoint;
  throw new DomainError(
    'invalid',
    'invalid_input',
    endpointId === undefined
      ? `The target has no endpoint of kind ${kind ?? 'writer'}.`
      : 'The target has no such endpoint.',
    `It has ${endpoints.map((known) => `${known.kind} ${known.id}`).join(', ')}.`,
  );
}

/** That another endpoint of the same kind could have been meant. */
export function otherEndpoints(endpoints: readonly Way[], endpoint: Way, asked: WayInput): string[] {
  if (asked.endpointId !== undefined) return [];
  const same = endpoints.filter(({ kind, id }) => kind === endpoint.kind && id !== endpoint.id);
  if (same.length === 0) return [];
  const others = same.map(({ id, connectHost }) => `${id} (${connectHost})`).join(', ');
  return [`There are other endpoints of kind ${endpoint.kind}; endpointId names one: ${others}.`];
}

/** Trust and recipes as they go out, field by field. */
export function presentWay(
  input: Omit<RecipeInput, 'tls'>,
  tls: TlsAdvice,
  clients?: readonly string[],
): { tls: ConnectTls; recipes: ConnectRecipe[] } {
  const { mode, servername, authority, caBundleUrl, caBundlePkcs7Url, caIdentifier, caExpiresAt } = tls;
  const chosen = recipes({ ...input, tls }, clients);
  return {
    tls: { mode, servername, authority, caBundleUrl, caBundlePkcs7Url, caIdentifier, caExpiresAt },
    recipes: chosen.map(({ client, text, notes }) => ({ client, text, notes: [...notes] })),
  };
}

/**
 * A floor below every policy: who gets a token or a password is the person whose login it opens, and nobody in their place.
 * @throws DomainError `not_your_grant`
 */
export function refuseOthers(grant: { personId: string }, actor: PersonActor): void {
  if (grant.personId === actor.id) return;
  throw new DomainError(
    'forbidden',
    'not_your_grant',
    'Only the holder of a grant logs in with it, whatever policy allows.',
    'Ask for access of your own with POST /v1/requests.',
  );
}
