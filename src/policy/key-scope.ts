import { serviceOf, type Actor } from '../platform/actor.js';
import { DomainError } from '../platform/errors.js';
import { serviceActions, type Action } from './policy.contract.js';

/** Whether the key of the service in this call, if there is one, is for this action. Who calls without a key has no such limit. */
export const inScope = (actor: Actor, action: Action): boolean => serviceOf(actor)?.scopes.includes(action) ?? true;

/**
 * What no policy can allow: an action that the key is not for, or that is done by people alone.
 * @throws DomainError `scope_missing`, `not_for_services`
 */
export function refuseBeyondKey(actor: Actor, action: Action): void {
  if (!inScope(actor, action))
    throw new DomainError(
      'forbidden',
      'scope_missing',
      `The API key or client of the service is not for ${action}.`,
      `Have a key made, or the client of the service set, with scopes that name ${action}.`,
    );
  if (actor.kind === 'service' && !serviceActions.has(action))
    throw new DomainError(
      'forbidden',
      'not_for_services',
      `A service cannot ask for ${action} by itself.`,
      'Say for whom with Usher-On-Behalf-Of, or with an access token of that person as Usher-On-Behalf-Of-Token.',
    );
}
