import { format, inspect } from 'node:util';
import { expect, test } from 'vitest';
import { Secret } from '../platform/secret.js';
import { SigningCredentials } from './secret.js';

const keys = { accessKeyId: 'ASIAHIDDEN', secretAccessKey: 'hidden-key', sessionToken: 'hidden-token' };

test.each([
  ['a secret', new Secret('hidden-password')],
  ['credentials', new SigningCredentials({ ...keys, expiresAt: new Date() })],
])('%s prints as [secret] wherever it is put', (_, value) => {
  const prints = [
    `${value}`,
    JSON.stringify({ value }),
    inspect({ value }, { showHidden: true, depth: 9 }),
    format('%o %O %j %s', value, value, value, value),
    JSON.stringify({ ...value }),
    inspect(structuredClone({ ...value })),
    JSON.stringify(Object.getOwnPropertyNames(value)),
  ];
  for (const print of prints) expect(print).not.toMatch(/hidden/i);
  expect(JSON.stringify({ value })).toBe('{"value":"[secret]"}');
  expect(inspect(value)).toBe('[secret]');
});

test('only reveal gives the value', () => {
  expect(new Secret('x').reveal()).toBe('x');
  expect(new SigningCredentials(keys).secretAccessKey).toBe('hidden-key');
});
