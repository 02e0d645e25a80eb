import { createParamDecorator } from '@nestjs/common';
import type { Actor } from '../platform/actor.js';
import { currentCall } from '../platform/call.js';
import { DomainError } from '../platform/errors.js';

/** The person who calls. Only on handlers with `@Requires`: there the guard has put him in. */
export const Caller = createParamDecorator((): Actor => {
  const actor = currentCall()?.actor;
  if (!actor) throw new DomainError('unauthenticated', 'token_missing', 'The call carries no access token.');
  return actor;
});
