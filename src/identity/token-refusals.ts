import { DomainError } from '../platform/errors.js';

/** @param what of the token is wrong; never a part of it */
export const invalidToken = (what: string, howTo: string): DomainError =>
  new DomainError('unauthenticated', 'token_invalid', `The access token ${what}.`, howTo);
