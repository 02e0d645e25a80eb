/** What clients of graphql-transport-ws may say. */
const said = new Set(['connection_init', 'ping', 'pong', 'subscribe', 'complete']);
/** Characters of the id of a subscription; a close with a reason that names it must fit into 123 bytes. */
const LONGEST_ID = 60;

/** As far as it matters to more than one message. */
export interface ClientMessage {
  readonly type: string;
  /** Of the subscription that is begun or ended. */
  readonly id?: string | undefined;
}

/** Undefined for what no client of the protocol says: it is refused before anything is made of it. */
export function readMessage(text: string): ClientMessage | undefined {
  const message = parsed(text);
  if (typeof message !== 'object' || message === null) return undefined;
  const { type, id } = message as { type?: unknown; id?: unknown };
  if (typeof type !== 'string' || !said.has(type)) return undefined;
  if (type !== 'subscribe' && type !== 'complete') return { type };
  return typeof id === 'string' && /^[\x21-\x7e]+$/.test(id) && id.length <= LONGEST_ID ? { type, id } : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
