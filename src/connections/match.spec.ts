import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TargetBackend } from '../postgres/postgres.contract.js';
import { compare, matchGrant, sessionKey, type GrantPeriod } from './match.js';

const at = (minute: number, second = 0): Date => new Date(Date.UTC(2026, 2, 10, 10, minute, second));
const grant = (id: string, more: Partial<GrantPeriod> = {}): GrantPeriod => ({
  id,
  personId: 'ana',
  login: 'ana',
  openedAt: at(0),
  endsAt: at(30),
  closedAt: null,
  ...more,
});
const session = (began: Date | null, applicationName = 'psql', login = 'ana') => ({
  login,
  backendStart: began,
  applicationName,
});

describe('the grant of a session', () => {
  const [early, late] = [grant('early'), grant('late', { openedAt: at(10), endsAt: at(40) })];

  test.each<[string, ReturnType<typeof session>, GrantPeriod[], string | undefined]>([
    ['no grant at all', session(at(5)), [], undefined],
    ['within it', session(at(5)), [early], 'early'],
    ['another login', session(at(5), 'psql', 'bob'), [early], undefined],
    ['the same person by password', session(at(5), 'psql', 'ana_pw'), [early, grant('pw', { login: 'ana_pw' })], 'pw'],
    ['by password, with a grant for tokens only', session(at(5), 'psql', 'ana_pw'), [early], undefined],
    ['one that was never opened', session(at(5)), [grant('g', { openedAt: null })], undefined],
    ['before it was opened', session(at(-5)), [early], undefined],
    ['just before, by another clock', session(at(-1, 30)), [early], 'early'],
    ['too much before', session(at(-1, 29)), [early], undefined],
    ['after its end', session(at(35)), [early], undefined],
    ['just after, by another clock', session(at(30, 30)), [early], 'early'],
    ['too much after', session(at(30, 31)), [early], undefined],
    ['after it was revoked', session(at(20)), [grant('g', { closedAt: at(15) })], undefined],
    ['before it was revoked', session(at(14)), [grant('g', { closedAt: at(15) })], 'g'],
    ['two that fit: the one opened last', session(at(20)), [early, late], 'late'],
    ['the same in any order', session(at(20)), [late, early], 'late'],
    ['two that fit: the one that the session names', session(at(20), 'usher:early'), [early, late], 'early'],
    ['a name of one that does not fit proves nothing', session(at(5), 'usher:late'), [early, late], 'early'],
    [
      "a name of somebody else's grant",
      session(at(20), 'usher:other'),
      [early, grant('other', { login: 'bob' })],
      'early',
    ],
    [
      'a start that may not be seen: any that is not over',
      session(null),
      [grant('g', { closedAt: at(15) }), early],
      'early',
    ],
  ])('%s', (_, backend, grants, expected) => {
    expect(matchGrant(backend, grants)?.id).toBe(expected);
  });

  test('is never one of another login, whatever the session calls itself', () => {
    const minute = fc.integer({ min: -60, max: 120 });
    const period = fc.record({
      id: fc.constantFrom('g1', 'g2', 'g3'),
      personId: fc.constant('p'),
      login: fc.constantFrom('ana', 'bob'),
      openedAt: fc.option(minute.map((m) => at(m))),
      endsAt: minute.map((m) => at(m)),
      closedAt: fc.option(minute.map((m) => at(m))),
    });
    fc.assert(
      fc.property(
        fc.array(period, { maxLength: 5 }),
        fc.option(minute),
        fc.constantFrom('psql', 'usher:g1', 'usher:g2', 'usher:', ''),
        (grants, began, name) => {
          const found = matchGrant(session(began === null ? null : at(began), name), grants);
          return found === undefined || (found.login === 'ana' && found.openedAt !== null);
        },
      ),
    );
  });
});

describe('new, still there, gone', () => {
  const backend = (pid: number, began: Date | null): TargetBackend => ({
    ...session(began),
    pid,
    database: 'orders',
    clientAddress: null,
    clientPort: null,
    tls: true,
    tlsVersion: null,
    tlsCipher: null,
    state: 'idle',
  });
  const known = (pid: number, began: Date) => ({ pid, backendStart: began });

  test('a pid that is used again is another session', () => {
    const found = compare(
      [known(1, at(0)), known(2, at(0)), known(3, at(0))],
      [backend(2, at(0)), backend(3, at(5)), backend(4, at(6))],
    );
    expect(found.fresh.map(sessionKey)).toEqual([`3/${at(5).getTime()}`, `4/${at(6).getTime()}`]);
    expect(found.still).toEqual([known(2, at(0))]);
    expect(found.gone).toEqual([known(1, at(0)), known(3, at(0))]);
  });

  test('each session is exactly one of the three', () => {
    const pair = fc.tuple(fc.nat({ max: 5 }), fc.nat({ max: 2 }));
    const key = ([pid, minute]: [number, number]): string => `${pid}/${minute}`;
    fc.assert(
      fc.property(fc.uniqueArray(pair, { selector: key }), fc.uniqueArray(pair, { selector: key }), (before, now) => {
        const { fresh, still, gone } = compare(
          before.map(([pid, m]) => known(pid, at(m))),
          now.map(([pid, m]) => backend(pid, at(m))),
        );
        expect(still.length + gone.length).toBe(before.length);
        expect(still.length + fresh.length).toBe(now.length);
      }),
    );
  });
});
