import { describe, expect, test } from 'vitest';
import { AuditOutcome, type AuditEvent } from '../audit/audit.contract.js';
import { isWanted, noticeOf, type Noun } from './notice.js';

const line = (action: string, more: Partial<AuditEvent> = {}): AuditEvent => ({
  ...{
    id: 'i',
    at: new Date(0),
    actorKind: 'person',
    actorId: 'a',
    actorName: 'Ana',
    viaServiceId: null,
    viaName: null,
  },
  ...{ subjectId: 's', action, outcome: AuditOutcome.success, targetId: 't', requestId: 'r', grantId: 'g', code: null },
  ...{ details: {}, address: '192.0.2.7', correlationId: 'c', ...more },
});
const notice = (action: string, more?: Partial<AuditEvent>) => noticeOf({ sequence: 7, event: line(action, more) });

test.each<[action: string, noun: Noun | undefined, ids?: string[]]>([
  ['request.create', 'request', ['r']],
  ['request.replan', 'request', ['r']],
  ['grant.active', 'grant', ['g']],
  ['grant.closed', 'grant', ['g']],
  // what no list of grants shows either
  ['grant.diagnose', undefined],
  ['token.mint', undefined],
  ['access.refused', undefined],
  ['connection.seen', undefined],
])('%s is told to those who follow: %s', (action, noun, ids) => {
  const found = notice(action);
  expect([found?.noun, found?.ids]).toEqual([noun, ids]);
});

test('sessions are named one by one or together; who did it, from where, and details are not kept at all', () => {
  expect(notice('connection.flagged', { details: { connectionId: 'x', flags: ['no_tls'], login: 'l' } })).toEqual({
    ...{ sequence: 7, at: new Date(0), noun: 'flag', action: 'connection.flagged', outcome: 'success' },
    ...{ targetId: 't', subjectId: 's', ids: ['x'], flags: ['no_tls'] },
  });
  expect(notice('connection.flagged', { details: { connectionIds: ['x', 'y', 3], flags: 'no' } })).toMatchObject({
    ...{ ids: ['x', 'y'], flags: [] },
  });
});

test('what was redacted, or is about nothing, is told to nobody', () => {
  expect(notice('connection.flagged', { details: {} })).toBeUndefined();
  expect(notice('request.create', { requestId: null })).toBeUndefined();
});

describe('a filter', () => {
  const event = notice('grant.active');
  test.each<[Noun, Parameters<typeof isWanted>[2], boolean]>([
    ['grant', {}, true],
    ['request', {}, false],
    ['grant', { target: 't' }, true],
    ['grant', { target: 'u' }, false],
    ['grant', { target: 't', person: 's' }, true],
    ['grant', { target: 't', person: 'a' }, false],
  ])('of %s %j: %s', (noun, filter, expected) => {
    expect(event && isWanted(event, noun, filter)).toBe(expected);
  });
});
