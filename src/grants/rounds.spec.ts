import { describe, expect, test } from 'vitest';
import type { Ask } from './reconciler.js';
import { Rounds, type Width } from './rounds.js';

interface Begun {
  targetId: string;
  logins: string[];
  asks: Ask[];
  done(putOff?: Ask[]): Promise<void>;
  fail(): Promise<void>;
}

/** Rounds that are ended by the test. */
function stage(width: Partial<Width> = {}) {
  const begun: Begun[] = [];
  const later: { targetId: string; logins: string[]; failed: boolean }[] = [];
  // what a round's end sets off is done within a few turns of the event loop
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const rounds = new Rounds(
    { targets: 2, perTarget: 2, logins: 3, ...width },
    (targetId, asks) => {
      const { promise, resolve, reject } = Promise.withResolvers<Ask[]>();
      const done = (putOff: Ask[] = []): Promise<void> => {
        resolve(putOff);
        return turn();
      };
      const fail = (): Promise<void> => {
        reject(new Error('our own database is away'));
        return turn();
      };
      begun.push({ targetId, logins: asks.map(({ login }) => login), asks, done, fail });
      return promise;
    },
    (targetId, asks, error) => {
      later.push({ targetId, logins: asks.map(({ login }) => login), failed: error !== undefined });
      return Promise.resolve();
    },
  );
  const wake = (targetId: string, ...logins: string[]): void =>
    rounds.wake(
      targetId,
      logins.map((login) => ({ login })),
    );
  const what = (): string[] => begun.map(({ targetId, logins }) => `${targetId}: ${logins.join(' ')}`);
  const take = (index: number): Begun => {
    const found = begun[index];
    if (!found) throw new Error(`only ${begun.length} rounds were begun`);
    return found;
  };
  return { rounds, wake, what, take, later };
}

describe('on one target', () => {
  test('who is woken while others are worked on goes together in the next round', async () => {
    const { wake, what, take } = stage({ perTarget: 1, logins: 2 });
    wake('a', 'ana');
    wake('a', 'bob', 'eve');
    wake('a', 'kim');
    expect(what()).toEqual(['a: ana']);
    await take(0).done();
    await take(1).done();
    expect(what()).toEqual(['a: ana', 'a: bob eve', 'a: kim']);
  });

  test('a login that is woken ten times while it waits is worked on once', async () => {
    const { wake, what, take } = stage({ perTarget: 1 });
    wake('a', 'ana');
    for (let i = 0; i < 10; i += 1) wake('a', 'bob');
    await take(0).done();
    await take(1).done();
    expect(what()).toEqual(['a: ana', 'a: bob']);
  });

  test('a login that is woken while it is worked on is worked on again afterwards, never twice at once', async () => {
    const { wake, what, take } = stage();
    wake('a', 'ana');
    wake('a', 'ana');
    expect(what()).toEqual(['a: ana']);
    await take(0).done();
    expect(what()).toEqual(['a: ana', 'a: ana']);
  });

  test('a second round overtakes one that is held up, with other logins', () => {
    const { wake, what } = stage();
    wake('a', 'ana');
    wake('a', 'ana', 'bob');
    wake('a', 'eve');
    expect(what()).toEqual(['a: ana', 'a: bob']);
  });

  test('that somebody asked for a repair is not forgotten', async () => {
    const { rounds, wake, take } = stage({ perTarget: 1 });
    wake('a', 'bob');
    rounds.wake('a', [{ login: 'ana', repair: true }]);
    wake('a', 'ana');
    await take(0).done();
    expect(take(1).asks).toEqual([{ login: 'ana', repair: true }]);
  });

  test('what somebody else works on, and what failed, is handed back', async () => {
    const { wake, take, later } = stage();
    wake('a', 'ana', 'bob');
    await take(0).done([{ login: 'bob' }]);
    wake('b', 'eve');
    await take(1).fail();
    expect(later).toEqual([
      { targetId: 'a', logins: ['bob'], failed: false },
      { targetId: 'b', logins: ['eve'], failed: true },
    ]);
  });
});

describe('on many targets', () => {
  test('as many are worked on at once as there are places, in their order', async () => {
    const { wake, what, take } = stage();
    for (const target of ['a', 'b', 'c', 'd']) wake(target, 'ana');
    expect(what()).toEqual(['a: ana', 'b: ana']);
    await take(1).done();
    expect(what()).toEqual(['a: ana', 'b: ana', 'c: ana']);
  });

  test('a target with much to do comes behind those that had no turn', async () => {
    const { wake, what, take } = stage({ targets: 1, perTarget: 1, logins: 1 });
    wake('a', 'ana', 'bob');
    wake('b', 'eve');
    await take(0).done();
    await take(1).done();
    expect(what()).toEqual(['a: ana', 'b: eve', 'a: bob']);
  });
});

test('at the end nothing is begun any more, and what was begun is waited for', async () => {
  const { rounds, wake, what, take } = stage({ targets: 1 });
  wake('a', 'ana');
  wake('b', 'ana');
  let stopped = false;
  const stop = rounds.stop().then(() => (stopped = true));
  await take(0).done();
  await stop;
  expect([stopped, what()]).toEqual([true, ['a: ana']]);
});
