import type { IncomingHttpHeaders } from 'node:http';
import { DomainError } from '../errors.js';

/** What says who calls, and for whom. */
const NAMES = ['authorization', 'usher-on-behalf-of', 'usher-on-behalf-of-token'] as const;
export type Credentials = Partial<Record<(typeof NAMES)[number], string>>;

/**
 * Who opens a connection, as its first message says it, by itself or under `headers`, or as the header of the call that asked for the
 * connection did: a page in a browser has only the message.
 * @throws DomainError `invalid_input` for what is said twice, and differently: nobody may be taken for somebody else
 */
export function credentialsOf(header: IncomingHttpHeaders, payload: Readonly<Record<string, unknown>>): Credentials {
  const { headers } = payload;
  const inner = typeof headers === 'object' && headers !== null ? headers : {};
  const said = [...Object.entries(payload), ...Object.entries(inner)];
  return Object.fromEntries(
    NAMES.flatMap((name) => {
      const ways = said.flatMap(([key, value]: [string, unknown]) => (key.toLowerCase() === name ? [value] : []));
      const [value, other] = new Set([...(header[name] === undefined ? [] : [header[name]]), ...ways]);
      if (other !== undefined) throw saidTwice(name);
      if (value !== undefined && typeof value !== 'string') throw notText(name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

const saidTwice = (name: string): DomainError =>
  new DomainError('invalid', 'invalid_input', `${name} is given twice, and differently.`, 'Give it once.');

const notText = (name: string): DomainError =>
  new DomainError('invalid', 'invalid_input', `${name} is not text.`, 'Give it as the header of a call has it.');
