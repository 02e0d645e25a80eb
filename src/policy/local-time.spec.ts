import fc from 'fast-check';
import { expect, test } from 'vitest';
import { localTime } from './local-time.js';

test.each<[string, string, string, number, number]>([
  ['a Tuesday morning', '2026-03-10T10:00:00Z', 'UTC', 2, 600],
  ['the first minute of a day', '2026-03-09T00:00:00Z', 'UTC', 1, 0],
  ['the last minute of a week', '2026-03-08T23:59:59.999Z', 'UTC', 7, 1_439],
  ['a day that has begun elsewhere', '2026-03-10T23:30:00Z', 'Europe/Berlin', 3, 30],
  ['midnight elsewhere', '2026-03-10T23:00:00Z', 'Europe/Berlin', 3, 0],
  ['a day that has not begun elsewhere', '2026-03-10T03:00:00Z', 'America/New_York', 1, 1_380],
  ['a zone of half hours', '2026-03-10T18:30:00Z', 'Asia/Kolkata', 3, 0],
  ['a zone of quarters', '2026-03-10T18:15:00Z', 'Asia/Kathmandu', 3, 0],
  ['a day ahead of everybody', '2026-03-10T10:00:00Z', 'Pacific/Kiritimati', 3, 0],
  ['the minute before summer time', '2026-03-29T00:59:59Z', 'Europe/Berlin', 7, 119],
  ['summer time: an hour is left out', '2026-03-29T01:00:00Z', 'Europe/Berlin', 7, 180],
  ['the hour that comes twice, first', '2026-10-25T00:30:00Z', 'Europe/Berlin', 7, 150],
  ['the hour that comes twice, again', '2026-10-25T01:30:00Z', 'Europe/Berlin', 7, 150],
  ['the same hour of UTC in winter', '2026-01-07T08:00:00Z', 'Europe/Berlin', 3, 540],
  ['the same hour of UTC in summer', '2026-07-08T08:00:00Z', 'Europe/Berlin', 3, 600],
  ['a midnight that summer time leaves out', '2026-09-06T04:00:00Z', 'America/Santiago', 7, 60],
])('%s', (_, at, zone, weekday, minute) => {
  expect(localTime(new Date(at), zone)).toEqual({ weekday, minute });
});

test('in UTC it is what UTC says', () => {
  const times = fc.date({ min: new Date('1970-01-01'), max: new Date('2200-01-01'), noInvalidDate: true });
  fc.assert(
    fc.property(times, (at) => {
      const minute = at.getUTCHours() * 60 + at.getUTCMinutes();
      expect(localTime(at, 'UTC')).toEqual({ weekday: at.getUTCDay() || 7, minute });
    }),
  );
});

test.each(['Europe/Atlantis', '', 'local'])('%j is no zone', (zone) => {
  expect(() => localTime(new Date(), zone)).toThrow(RangeError);
});
