import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sessionName } from './session-name.js';

test.each([
  ['alice@example.com', 'alice@example.com'],
  ['al', 'al'],
])('%s stays', (person, name) => {
  expect(sessionName(person)).toBe(name);
});

test.each(['a', 'Zoë Müller', 'auth0|123', 'x'.repeat(65), 'a/b'])('%s becomes a name STS takes', (person) => {
  expect(sessionName(person)).toMatch(/^[\w+=,.@-]{2,64}$/);
});

test('two people never share a name', () => {
  const person = fc.oneof(
    fc.string({ minLength: 1, maxLength: 80 }),
    fc.string({ unit: fc.constantFrom('a', '|', '-', ' '), minLength: 1, maxLength: 6 }),
  );
  fc.assert(
    fc.property(person, person, (one, other) => {
      fc.pre(one !== other);
      expect(sessionName(one)).not.toBe(sessionName(other));
      expect(sessionName(one)).toMatch(/^[\w+=,.@-]{2,64}$/);
    }),
  );
});
