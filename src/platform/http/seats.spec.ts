import { expect, test } from 'vitest';
import { DomainError } from '../errors.js';
import { Seats } from './seats.js';

const claims = (of: string, most: number) => [
  { of: 'all', most: 3 },
  { of, most },
];

test('each limit counts for itself, and one that is full takes nothing from the others', () => {
  const seats = new Seats();
  const first = seats.take(claims('ana', 1));
  expect(() => seats.take(claims('ana', 1))).toThrow(DomainError);
  expect([seats.taken('all'), seats.taken('ana')]).toEqual([1, 1]);
  seats.take(claims('ben', 2));
  seats.take(claims('ben', 2));
  expect(() => seats.take(claims('cleo', 1))).toThrow('3 such connections');
  first();
  seats.take(claims('cleo', 1));
  expect([seats.taken('all'), seats.taken('ana'), seats.taken('cleo')]).toEqual([3, 0, 1]);
});

test('what was given back is not given back twice', () => {
  const seats = new Seats();
  const [first] = [seats.take(claims('ana', 2)), seats.take(claims('ana', 2))];
  first?.();
  first?.();
  expect([seats.taken('all'), seats.taken('ana')]).toEqual([1, 1]);
});
