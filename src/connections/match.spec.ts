import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { match, type GrantPeriod, type Mint, type SeenAt } from './match.js';

const at = (minute: number, second = 0): Date => new Date(Date.UTC(2026, 2, 10, 10, minute, second));
const grant = (id: string, more: Partial<GrantPeriod> = {}): GrantPeriod => ({
  id,
  personId: 'ana',
  login: 'ana',
  method: 'iam',
  mode: 'session',
  openedAt: at(0),
  endsAt: at(30),
  closedAt: null,
  ...more,
});
const writer: SeenAt = { kind: 'writer', tokenHost: 'db.example', port: 5432 };
const mint = (id: string, minute: number, more: Partial<Mint> = {}): Mint => ({
  ...{ id, grantId: 'early', endpoint: 'writer', host: 'db.example', port: 5432 },
  ...{ at: at(minute), expiresAt: at(minute + 15) },
  ...more,
});
const session = (startedAt: Date | null, applicationName = 'psql', login = 'ana') => ({
  login,
  startedAt,
  applicationName,
});
type Session = ReturnType<typeof session>;

describe('the grant of a session', () => {
  const [early, late] = [grant('early'), grant('late', { openedAt: at(10), endsAt: at(40) })];

  test.each<[string, Session, GrantPeriod[], string | undefined]>([
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
  ])('%s', (_, seen, grants, expected) => {
    expect(match(seen, grants, [], writer).grant?.id).toBe(expected);
  });

  test('is the one whose token was minted last before it', () => {
    expect(match(session(at(20)), [early, late], [mint('m', 18)], writer)).toMatchObject({
      grant: { id: 'early' },
      mint: { id: 'm' },
      certain: true,
    });
  });

  test.each<[string, Session, GrantPeriod[], Mint[], boolean]>([
    ['one that fits', session(at(5)), [early], [], true],
    ['none that fits', session(at(50)), [early], [], true],
    ['two that fit, and no token', session(at(20)), [early, late], [], false],
    ['two that fit, and a token of one', session(at(20)), [early, late], [mint('m', 18)], true],
    [
      'two that fit, and a token of each',
      session(at(20)),
      [early, late],
      [mint('m', 18), mint('n', 19, { grantId: 'late' })],
      false,
    ],
    ['a name, against the token of another', session(at(20), 'usher:late'), [early, late], [mint('m', 18)], false],
    ['a start that may not be seen', session(null), [early], [], false],
  ])('is certain, or is not: %s', (_, seen, grants, mints, expected) => {
    expect(match(seen, grants, mints, writer).certain).toBe(expected);
  });
});

describe('the token of a session', () => {
  const early = grant('early');

  test.each<[string, Date, Mint, boolean]>([
    ['just before', at(5), mint('m', 4), true],
    ['fifteen minutes before', at(19), mint('m', 4), true],
    ['more than fifteen minutes and what clocks may differ', at(19, 31), mint('m', 4), false],
    ['after it', at(5), mint('m', 6), false],
    ['just after, by another clock', at(5, 45), mint('m', 6), true],
    ['that ended sooner, with its grant', at(8), mint('m', 4, { expiresAt: at(7) }), false],
    ['of another grant', at(5), mint('m', 4, { grantId: 'other' }), false],
    ['for another host', at(5), mint('m', 4, { host: 'reader.example', endpoint: 'reader' }), false],
    ['for another port', at(5), mint('m', 4, { port: 5433 }), false],
    ['for a custom endpoint, which leads anywhere', at(5), mint('m', 4, { host: 'x', endpoint: 'custom' }), true],
    ['for a proxy', at(5), mint('m', 4, { host: 'x', endpoint: 'proxy' }), true],
    ['for an instance, which the writer may be', at(5), mint('m', 4, { host: 'x', endpoint: 'instance' }), true],
  ])('%s', (_, startedAt, minted, fits) => {
    expect(match(session(startedAt), [early], [minted], writer).mint !== undefined).toBe(fits);
  });

  test('for the writer, seen on the instance that is the writer', () => {
    const instance = { kind: 'instance', tokenHost: 'one.example', port: 5432 };
    expect(match(session(at(5)), [early], [mint('m', 4)], instance).mint?.id).toBe('m');
  });

  test('is the newest that fits', () => {
    expect(match(session(at(5)), [early], [mint('a', 1), mint('b', 3), mint('c', 2)], writer).mint?.id).toBe('b');
  });
});

test('a session is never matched to a grant of another login, whatever it calls itself', () => {
  const minute = fc.integer({ min: -60, max: 120 });
  const period = fc.record({
    id: fc.constantFrom('g1', 'g2', 'g3'),
    personId: fc.constant('p'),
    login: fc.constantFrom('ana', 'bob'),
    method: fc.constantFrom('iam' as const, 'password' as const),
    mode: fc.constant('session' as const),
    openedAt: fc.option(minute.map((m) => at(m))),
    endsAt: minute.map((m) => at(m)),
    closedAt: fc.option(minute.map((m) => at(m))),
  });
  const minted = fc.record({ grantId: fc.constantFrom('g1', 'g2', 'g3'), minute });
  const name = fc.constantFrom('psql', 'usher:g1', 'usher:g2', 'usher:', '');
  fc.assert(
    fc.property(
      fc.array(period, { maxLength: 5 }),
      fc.array(minted),
      fc.option(minute),
      name,
      (grants, mints, began, called) => {
        const tokens = mints.map(({ grantId, minute }, index) => mint(`m${index}`, minute, { grantId }));
        const found = match(session(began === null ? null : at(began), called), grants, tokens, writer);
        return (
          (found.grant === undefined || (found.grant.login === 'ana' && found.grant.openedAt !== null)) &&
          (found.mint === undefined || found.mint.grantId === found.grant?.id)
        );
      },
    ),
  );
});
