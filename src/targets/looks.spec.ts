import { expect, test } from 'vitest';
import { Looks } from './looks.js';

/** Looks that end when they are told to. */
function stage() {
  const begun: PromiseWithResolvers<number>[] = [];
  const looks = new Looks<number>();
  const look = (): Promise<number> => {
    const one = Promise.withResolvers<number>();
    begun.push(one);
    return one.promise;
  };
  return { begun, at: (key: string) => looks.at(key, look) };
}

test('who asks while it is looked at shares the next look, and is told of no moment before they asked', async () => {
  const { begun, at } = stage();
  const first = at('a');
  const later = [at('a'), at('a'), at('a')];
  expect(begun).toHaveLength(1);
  begun[0]?.resolve(1);
  expect(await first).toBe(1);
  await Promise.resolve();
  expect(begun).toHaveLength(2);
  const last = at('a');
  begun[1]?.resolve(2);
  expect(await Promise.all(later)).toEqual([2, 2, 2]);
  await Promise.resolve();
  begun[2]?.resolve(3);
  expect(await last).toBe(3);
  expect(begun).toHaveLength(3);
});

test('each thing is looked at for itself, and anew when nobody is looking', async () => {
  const { begun, at } = stage();
  const both = [at('a'), at('b')];
  expect(begun).toHaveLength(2);
  for (const one of begun) one.resolve(1);
  await Promise.all(both);
  const again = at('a');
  expect(begun).toHaveLength(3);
  begun[2]?.resolve(2);
  expect(await again).toBe(2);
});

test('a look that fails is told to those who share it, and does not keep the next from looking', async () => {
  const { begun, at } = stage();
  const [first, next] = [at('a'), at('a')];
  begun[0]?.reject(new Error('not there'));
  await expect(first).rejects.toThrow('not there');
  await Promise.resolve();
  begun[1]?.resolve(2);
  expect(await next).toBe(2);
});
