import { expect, test } from 'vitest';
import { matches, subjectOf } from './event-filter.js';

const event = { action: 'grant.active', targetId: 't1', subjectId: 'p1' };
const filter = (events: string[], targetIds: string[] = [], subjectIds: string[] = []) => ({
  ...{ events, targetIds, subjectIds },
});

test.each([
  [['*'], true],
  [['grant.*'], true],
  [['grant.active'], true],
  [['request.*', 'grant.active'], true],
  [['grant.act'], false],
  [['grant'], false],
  [['gran.*'], false],
  [['request.*'], false],
  [[], false],
])('%j wants grant.active: %s', (events, wanted) => {
  expect(matches(filter(events), event)).toBe(wanted);
});

test('grants.* is not grant.*', () => {
  expect(matches(filter(['grant.*']), { ...event, action: 'grants.active' })).toBe(false);
});

test.each([
  [[], [], true],
  [['t1'], [], true],
  [['t1', 't2'], ['p1'], true],
  [['t2'], [], false],
  [[], ['p2'], false],
  [['t1'], ['p2'], false],
])('of targets %j and people %j: %s', (targetIds, subjectIds, wanted) => {
  expect(matches(filter(['*'], targetIds, subjectIds), event)).toBe(wanted);
});

test('what is about no target is not about the one that is asked for', () => {
  expect(matches(filter(['*'], ['t1']), { ...event, targetId: null })).toBe(false);
});

test('order is kept by person, else by target', () => {
  expect(subjectOf(event)).toBe('person/p1');
  expect(subjectOf({ ...event, subjectId: null })).toBe('target/t1');
  expect(subjectOf({ subjectId: null, targetId: null })).toBe('usher');
});
