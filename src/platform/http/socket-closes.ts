import type { DomainError } from '../errors.js';

/** Bytes that a frame of RFC 6455 has for the reason (5.5.1). */
const MOST_BYTES = 123;

/** Why the service itself ends a connection (RFC 6455, 7.4; IANA's WebSocket Close Code Number Registry). */
export const RESTART = { code: 1012, reason: 'The service is restarting: connect again.' } as const;

/** What no client of the protocol sends (graphql-transport-ws, "Invalid message", "Subscribe"). */
export const UNREADABLE = { code: 4400, reason: 'This is no message of graphql-transport-ws.' } as const;
export const TWICE = { code: 4409, reason: 'There is a subscription under this id already.' } as const;

/**
 * Codes as the protocol graphql-transport-ws and its clients have them. Who is refused at the door must bring something else; who had
 * come in may come again at once with a new token, and clients do that by themselves after 4403 and after any below 1999 for a while.
 * @param since whether they had come in
 */
export function closeOf(error: DomainError, since: 'refused' | 'ended'): { code: number; reason: string } {
  return { code: codeOf(error, since), reason: fitting(`${error.code}: ${error.message}`) };
}

function codeOf({ kind }: DomainError, since: 'refused' | 'ended'): number {
  switch (kind) {
    case 'unauthenticated':
      return since === 'refused' ? 4401 : 4403;
    case 'forbidden':
    case 'conflict':
      return 4403;
    case 'quota':
    case 'unavailable':
      return 1013; // try again later
    case 'invalid':
    case 'not_found':
      return 4400;
  }
}

/** As much as there is room for; a character that was cut in two is left out. */
const fitting = (reason: string): string =>
  Buffer.from(reason)
    .subarray(0, MOST_BYTES)
    .toString()
    .replace(/\ufffd$/, '');
