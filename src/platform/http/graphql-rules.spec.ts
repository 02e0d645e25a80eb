import { buildSchema, parse, validate } from 'graphql';
import { expect, test } from 'vitest';
import { limitDepth, onlySubscriptions, refuseSubscriptions } from './graphql-rules.js';

const schema = buildSchema(`
  type Node { node: Node, id: ID }
  type Query { node: Node }
  type Subscription { node: Node }
`);
const faults = (document: string, rule: typeof limitDepth): string[] =>
  validate(schema, parse(document), [rule]).map(({ message }) => message);
const nested = (depth: number): string => `${'{ node '.repeat(depth - 1)}{ id }${'}'.repeat(depth - 1)}`;

test.each([
  ['as deep as it may be', nested(16), 0],
  ['one deeper', nested(17), 1],
  ['by fragments', `{ node { ...a } } fragment a on Node ${nested(16)}`, 1],
  ['a circle of fragments, which another rule refuses', '{ node { ...a } } fragment a on Node { node { ...a } }', 0],
  ['a fragment that is not there', '{ node { ...a } }', 0],
])('depth: %s', (_what, document, count) => {
  expect(faults(document, limitDepth)).toHaveLength(count);
});

test('a small document of fragments in fragments is looked through at once', () => {
  const levels = Array.from({ length: 200 }, (_, n) => `fragment f${n} on Node { ...f${n + 1} ...f${n + 1} }`);
  expect(faults(`{ node { ...f0 } } ${levels.join(' ')} fragment f200 on Node { id }`, limitDepth)).toEqual([]);
});

test('each way has its own operations', () => {
  const [query, subscription] = ['{ node { id } }', 'subscription { node { id } }'];
  expect([query, subscription].map((document) => faults(document, refuseSubscriptions).length)).toEqual([0, 1]);
  expect([query, subscription].map((document) => faults(document, onlySubscriptions).length)).toEqual([1, 0]);
});
