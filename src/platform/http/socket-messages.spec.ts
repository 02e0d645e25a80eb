import { describe, expect, test } from 'vitest';
import { readMessage } from './socket-messages.js';

describe('a message', () => {
  test.each([
    [{ type: 'connection_init', payload: {} }, { type: 'connection_init' }],
    [{ type: 'ping' }, { type: 'ping' }],
    [{ type: 'pong', id: 7 }, { type: 'pong' }],
    [
      { type: 'subscribe', id: 'a-1', payload: { query: '' } },
      { type: 'subscribe', id: 'a-1' },
    ],
    [
      { type: 'complete', id: 'a-1' },
      { type: 'complete', id: 'a-1' },
    ],
  ])('of a client is read: %j', (said, read) => expect(readMessage(JSON.stringify(said))).toEqual(read));

  test.each([
    '',
    'null',
    '[]',
    '7',
    '{',
    '{"type":"connection_ack"}',
    '{"type":"next","id":"1"}',
    '{"type":["ping"]}',
    '{"type":"subscribe"}',
    '{"type":"subscribe","id":""}',
    '{"type":"subscribe","id":1}',
    '{"type":"subscribe","id":"a b"}',
    '{"type":"complete","id":"\\n"}',
    JSON.stringify({ type: 'subscribe', id: 'x'.repeat(61) }),
    '{"__proto__":{"type":"ping"}}',
  ])('that no client says is none: %s', (text) => expect(readMessage(text)).toBeUndefined());
});
