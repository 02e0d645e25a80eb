import { describe, expect, test } from 'vitest';
import type { ExportedLine } from './exported-line.js';
import { activityOf, OCSF_VERSION, ocsfLine } from './ocsf.js';

const line: ExportedLine = {
  sequence: 7,
  id: '0190163d-8694-739b-aea5-966c26f8ad91',
  at: '2026-03-10T10:00:00.123Z',
  actorKind: 'person',
  actorId: 'a',
  actorName: 'alice@example.com',
  viaServiceId: null,
  viaName: null,
  subjectId: 's',
  action: 'target.update',
  outcome: 'success',
  targetId: 't',
  requestId: null,
  grantId: null,
  code: null,
  details: '{"changed": {"engineVersion": "17.11"}}',
  address: '10.1.2.3',
  correlationId: 'c',
};
const of = (more: Partial<ExportedLine>) => JSON.parse(ocsfLine({ ...line, ...more })) as Record<string, unknown>;

describe('the class and the activity of an action', () => {
  test.each<[action: string, code: string | null, type: number]>([
    ['connection.seen', null, 300_201],
    ['connection.ended', null, 300_202],
    ['grant.sessionsEnded', null, 300_202],
    ['token.mint', null, 300_299],
    ['access.refused', 'token_expired', 300_201],
    ['access.refused', 'key_revoked', 300_201],
    ['access.refused', 'step_up_required', 300_201],
    ['access.refused', 'policy_denied', 600_399],
    ['person.lock', null, 300_109],
    ['person.unlock', null, 300_102],
    ['person.remove', null, 300_105],
    ['person.restore', null, 300_102],
    ['password.issue', null, 300_104],
    ['service.create', null, 300_101],
    ['service.remove', null, 300_106],
    ['grant.active', null, 300_301],
    ['grant.closed', null, 300_399],
    ['request.create', null, 600_301],
    ['audit.export', null, 600_302],
    ['drift.found', null, 600_302],
    ['target.update', null, 600_303],
    ['request.approve', null, 600_303],
    ['target.delete', null, 600_304],
    ['grant.revoke', null, 600_304],
    ['something.new', null, 600_303],
  ])('%s (%s) is %i', (action, code, type) => {
    const event = of({ action, code });
    expect([event['type_uid'], event['class_uid'], event['activity_id']]).toEqual([
      type,
      Math.floor(type / 100),
      type % 100,
    ]);
    expect(event['category_uid']).toBe(Math.floor(type / 100_000));
    expect(event['activity_name']).toBe(activityOf({ action, code })[2]);
  });
});

/** What the schema requires of each class (https://schema.ocsf.io/1.4.0), beside what it requires of all of them. */
const required: Record<number, string[]> = {
  3001: ['user'],
  3002: ['user', 'dst_endpoint'],
  3003: ['user', 'privileges'],
  6003: ['actor', 'api', 'src_endpoint'],
};

describe('every event has what its class requires', () => {
  test.each([
    'connection.seen',
    'person.lock',
    'grant.active',
    'target.update',
    'access.refused',
    'trust.bundleChanged',
  ])('%s', (action) => {
    for (const bare of [false, true]) {
      const nobody = {
        actorKind: 'nobody',
        actorId: null,
        actorName: 'nobody',
        subjectId: null,
        targetId: null,
        address: null,
        details: '{}',
      };
      const event = of({ action, ...(bare && nobody) });
      const always = ['activity_id', 'category_uid', 'class_uid', 'type_uid', 'severity_id', 'time', 'metadata'];
      for (const name of [...always, ...(required[Number(event['class_uid'])] ?? [])])
        expect(event).toHaveProperty(name);
      for (const name of ['user', 'src_endpoint', 'dst_endpoint'])
        if (name in event) expect(Object.keys(event[name] as object)).not.toEqual([]);
      expect(event['metadata']).toMatchObject({
        version: OCSF_VERSION,
        product: { name: 'Usher', vendor_name: 'Usher' },
        sequence: 7,
      });
    }
  });
});

test('who, where from, with what outcome, and all of the rest', () => {
  expect(
    of({
      viaName: 'portal',
      outcome: 'refused',
      code: 'policy_denied',
      details: '{"message":"no","asked":"administerTargets"}',
    }),
  ).toMatchObject({
    time: Date.parse('2026-03-10T10:00:00.123Z'),
    actor: { user: { uid: 'a', name: 'alice@example.com', type_id: 1 }, app_name: 'portal' },
    src_endpoint: { ip: '10.1.2.3' },
    api: { operation: 'administerTargets', request: { uid: 'c' } },
    resources: [
      { uid: 't', type: 'target' },
      { uid: 's', type: 'person' },
    ],
    ...{ status_id: 2, severity_id: 2, status_code: 'policy_denied', status_detail: 'no' },
    unmapped: { target_id: 't', details: { asked: 'administerTargets' } },
  });
  expect(
    of({ action: 'connection.seen', address: null, details: '{"clientAddress":"10.9.9.9","login":"alice"}' }),
  ).toMatchObject({
    user: { uid: 's', name: 'alice' },
    src_endpoint: { ip: '10.9.9.9' },
    dst_endpoint: { uid: 't' },
  });
  expect(ocsfLine(line).match(/\n/g)).toHaveLength(1);
});
