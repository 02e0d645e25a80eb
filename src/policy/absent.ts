import { DomainError } from '../platform/errors.js';

/** What is not there, and what is not the caller's to see, have one answer: an id that was guessed says nothing. */
export const absent = {
  request: (onRecord?: DomainError): DomainError =>
    new DomainError(
      'not_found',
      'request_not_found',
      'There is no such request, or it is not yours to see.',
      'GET /v1/requests lists yours.',
      onRecord && { onRecord },
    ),
  delegation: (onRecord?: DomainError): DomainError =>
    new DomainError(
      'not_found',
      'delegation_not_found',
      'There is no such delegation, or it is not yours to see.',
      'GET /v1/delegations lists yours.',
      onRecord && { onRecord },
    ),
  grant: (onRecord?: DomainError): DomainError =>
    new DomainError(
      'not_found',
      'grant_not_found',
      'There is no such grant, or it is not yours to see.',
      'GET /v1/grants lists yours.',
      onRecord && { onRecord },
    ),
} as const;
