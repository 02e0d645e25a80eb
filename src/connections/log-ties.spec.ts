import { expect, test } from 'vitest';
import { beganAt, tie, type LoggedLogin } from './log-ties.js';

const at = (second: number, ms = 0): Date => new Date(Date.UTC(2026, 2, 10, 10, 0, second, ms));
const logged: LoggedLogin = {
  eventId: 'e',
  pid: 7,
  login: 'ana',
  at: at(11),
  receivedAt: at(10),
  toTheMillisecond: false,
};
const kept = (backendStart: Date, more: object = {}) => ({ id: 'c', pid: 7, login: 'ana', backendStart, ...more });

test.each([
  ['in the same second', kept(at(10, 700)), logged, true],
  ['a moment before its first line', kept(at(9, 500)), logged, true],
  ['long before', kept(at(8, 500)), logged, false],
  ['in the second after, by rounding', kept(at(11, 900)), logged, true],
  ['long after', kept(at(13)), logged, false],
  ['of another process', kept(at(10), { pid: 8 }), logged, false],
  ['of the same process, used again by another', kept(at(10), { login: 'bob' }), logged, false],
  ['to the millisecond', kept(at(10, 990)), { ...logged, toTheMillisecond: true }, true],
  ['to the millisecond, and too late', kept(at(11, 900)), { ...logged, toTheMillisecond: true }, false],
  [
    'within the time that a login may take, without its first line',
    kept(at(-40)),
    { ...logged, receivedAt: null },
    true,
  ],
  ['longer ago than that', kept(at(-50)), { ...logged, receivedAt: null }, false],
])('a session begun %s', (_, session, login, expected) => {
  expect(tie(login, [session]) !== undefined).toBe(expected);
});

test('begins with its first line, or with the one that there is', () => {
  expect([beganAt(logged), beganAt({ ...logged, receivedAt: null })]).toEqual([at(10), at(11)]);
});
