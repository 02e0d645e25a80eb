import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { isApiKey, isKeyOf, newApiKey, prefixOf } from './api-key.js';

const made = newApiKey();
const key = made.key.reveal();

/** The next character of the same kind, so that the form stays right. */
const other = (character: string): string => (character === 'a' ? 'b' : 'a');

describe('an API key', () => {
  test('has the form that scanners look for', () => {
    for (let n = 0; n < 200; n++) {
      const one = newApiKey();
      expect(one.key.reveal()).toMatch(/^usher_[a-z0-9]{12}_[0-9A-Za-z]{49}$/);
      expect(prefixOf(one.key.reveal())).toBe(one.prefix);
    }
  });

  test('is never made twice', () => {
    const keys = Array.from({ length: 1_000 }, () => newApiKey());
    for (const part of [({ key: of }) => of.reveal(), ({ prefix }) => prefix, ({ hash }) => hash] as ((
      of: (typeof keys)[number],
    ) => string)[])
      expect(new Set(keys.map(part)).size).toBe(1_000);
  });

  test('uses every digit, so that its bits are what they are said to be', () => {
    const secrets = Array.from({ length: 200 }, () => newApiKey().key.reveal().slice(19, 62)).join('');
    expect(new Set(secrets).size).toBe(62);
    expect(43 * Math.log2(62)).toBeGreaterThan(256);
  });

  test('says of itself nothing but [secret]', () => {
    for (const text of [JSON.stringify(made.key), String(made.key), inspect(made)]) expect(text).toContain('[secret]');
    expect(inspect(made)).not.toContain(key);
  });

  test('is told from an access token by its beginning alone', () => {
    expect([key, 'usher_', 'usher_x', 'eyJhbGciOi.e30.x', '', undefined].map(isApiKey)).toEqual([
      ...[true, true, true, false, false, false],
    ]);
  });

  test.each(Array.from({ length: key.length - 6 }, (_, n) => n + 6).filter((n) => key[n] !== '_'))(
    'with another character at place %i is none',
    (place) => {
      expect(prefixOf(key.slice(0, place) + other(key[place] ?? '') + key.slice(place + 1))).toBeUndefined();
    },
  );

  test.each([
    ['nothing', ''],
    ['its mark', 'usher_'],
    ['cut', key.slice(0, -1)],
    ['longer', `${key}0`],
    ['in another case', key.toUpperCase()],
    ['with a line behind it', `${key}\n`],
    [
      'with two characters changed round',
      `${key.slice(0, -2)}${[...key.slice(-2)].reverse().join('')}${key.at(-1) === key.at(-2) ? 'x' : ''}`,
    ],
    ['of another service', key.replace('usher_', 'other_')],
  ])('that is %s is none', (_, text) => {
    expect(prefixOf(text)).toBeUndefined();
  });

  test('is the key of its own hash and of no other', () => {
    expect(isKeyOf(key, made.hash)).toBe(true);
    expect(isKeyOf(key, newApiKey().hash)).toBe(false);
    expect(isKeyOf(newApiKey().key.reveal(), made.hash)).toBe(false);
    expect(isKeyOf(key, undefined)).toBe(false);
  });
});
