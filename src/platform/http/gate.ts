import type { IncomingHttpHeaders } from 'node:http';
import type { Reader } from '../actor.js';
import type { Call } from '../call.js';
import type { DomainError } from '../errors.js';

/** Who may use GraphQL at all, asked before a document is even parsed: reading one costs more than refusing it. */
export interface Gate {
  /** @throws DomainError for a caller who cannot be named */
  admit(call: Call, headers: IncomingHttpHeaders): Promise<void>;
  /** Who calls, of a call that goes on. @throws DomainError for who would not be let in any more */
  again(call: Call, headers: IncomingHttpHeaders): Promise<Reader>;
  /** @throws DomainError `too_many_requests` */
  countAddress(call: Call, bad: boolean): Promise<void>;
  /** Puts the refusal on record. */
  refused(error: DomainError): Promise<void>;
}
