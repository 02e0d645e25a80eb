import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RequestKind, RequestState, Verdict } from '../../src/access/requests.contract.js';
import { AuditOutcome } from '../../src/audit/audit.contract.js';
import * as prisma from '../../src/generated/prisma/enums.js';
import { GrantState, IamMode } from '../../src/grants/grants.contract.js';
import type { environments } from '../../src/policy/policy.contract.js';
import { EndpointKind, LoginMethod, TargetEnvironment, TargetKind } from '../../src/targets/targets.contract.js';
import { freshDatabase, type TestDatabase } from '../support/state.ts';

let database: TestDatabase;
/** As the service works: as the role that owns nothing. */
let app: pg.Pool;
beforeAll(async () => {
  database = await freshDatabase();
  app = new pg.Pool({ connectionString: database.url, max: 2, options: '-c role=usher_app' });
  app.on('error', () => undefined);
  await neighbours();
});
afterAll(async () => {
  await app?.end();
  await database?.drop();
});

const [person, target, profile] = [randomUUID(), randomUUID(), randomUUID()];
async function neighbours(): Promise<void> {
  await app.query(
    `INSERT INTO person (id, issuer, subject, name, first_seen_at, last_seen_at) VALUES ($1, 'https://idp.example', 'ana', 'Ana', now(), now())`,
    [person],
  );
  await app.query(
    `INSERT INTO target (id, name, kind, partition, region, account_id, resource_id, engine_version, environment, owner_group, databases, ca_identifier, guard_database, broker_login, created_at, updated_at)
     VALUES ($1, 'orders', 'rds-instance', 'aws', 'eu-west-1', '123456789012', 'db-ABC', '17', 'dev', 'owners', '{orders}', 'rds-ca-rsa2048-g1', 'postgres', 'usher_broker', now(), now())`,
    [target],
  );
  await app.query(
    `INSERT INTO profile (id, target_id, name, groups, max_minutes, approvals_needed, read_only, connection_limit, methods, created_at, updated_at)
     VALUES ($1, $2, 'read', '{readers}', 60, 0, true, 5, '{iam}', now(), now())`,
    [profile, target],
  );
}

async function grantIn(state: prisma.GrantState): Promise<string> {
  const [id, request] = [randomUUID(), randomUUID()];
  await app.query(
    `INSERT INTO request (id, grant_id, target_id, profile_id, person_id, login, database, duration_minutes, reason, method, mode, state, approvals_needed, plan, created_at, decide_by, decided_at)
     VALUES ($1, $2, $3, $4, $5, 'ana', 'orders', 30, 'why', 'iam', 'session', 'approved', 0, '{}', now(), now(), now())`,
    [request, id, target, profile, person],
  );
  const path = pathTo[state];
  await app.query(
    `INSERT INTO access_grant (id, request_id, target_id, profile_id, person_id, login, database, guard_profile, groups, connection_limit, method, mode, state, starts_at, ends_at, created_at)
     VALUES ($1, $2, $3, $4, $5, 'ana', 'orders', 'read', '{readers}', 5, 'iam', 'session', $6, now(), now() + interval '30 min', now())`,
    [id, request, target, profile, person, path[0]],
  );
  for (const next of path.slice(1)) await move(id, next);
  return id;
}
const pathTo: Record<prisma.GrantState, prisma.GrantState[]> = {
  scheduled: ['scheduled'],
  opening: ['opening'],
  active: ['opening', 'active'],
  closing: ['opening', 'closing'],
  closed: ['scheduled', 'closed'],
  failed: ['opening', 'closing', 'failed'],
};

/** A move with all that its new state asks for, so that nothing but the move itself can be refused. */
const move = (id: string, to: prisma.GrantState) =>
  app.query(
    `UPDATE access_grant SET state = $2::"GrantState",
            opened_at = CASE WHEN $2 = 'active' THEN now() WHEN $2 = 'failed' THEN NULL ELSE opened_at END,
            closing_since = CASE WHEN $2 = 'closing' THEN now() ELSE closing_since END,
            closed_at = CASE WHEN $2 IN ('closed', 'failed') THEN now() END
      WHERE id = $1`,
    [id, to],
  );

const refusal = async (work: Promise<unknown>): Promise<string | undefined> =>
  work.then(
    () => 'not refused',
    (error: unknown) => (error instanceof pg.DatabaseError ? error.code : String(error)),
  );
/** SQLSTATEs, appendix A of the PostgreSQL manual. */
const FORBIDDEN = '42501';
const NO_SUCH_MOVE = '23503';
const BROKEN_RULE = '23514';

describe('what a request promises', () => {
  const pending = async (state: 'pending' | 'denied' = 'pending'): Promise<string> => {
    const id = randomUUID();
    await app.query(
      `INSERT INTO request (id, grant_id, target_id, profile_id, person_id, login, database, duration_minutes, reason, method, mode, state, approvals_needed, plan, created_at, decide_by, decided_at)
       VALUES ($1, $2, $3, $4, $5, 'ana', 'orders', 30, 'why', 'iam', 'session', $6::"RequestState", 1, '{}', now(), now(), CASE WHEN $6 = 'denied' THEN now() END)`,
      [id, randomUUID(), target, profile, person, state],
    );
    return id;
  };
  const change = (id: string, what: string) => app.query(`UPDATE request SET ${what} WHERE id = $1`, [id]);
  const promises = [
    `plan = '{"login": "ben"}'`,
    `stages = '[{"name": "a"}]'`,
    `approver_groups = '{engineers}'`,
    `approver_people = '{${randomUUID()}}'`,
    'approvals_needed = 0',
    'duration_minutes = 31',
    'starts_at = now()',
    `reason = 'another'`,
    `ticket = 'OPS-1'`,
  ];

  test.each(promises)('%s is another revision, or nothing', async (what) => {
    expect(await refusal(change(await pending(), what))).toBe(BROKEN_RULE);
    expect(await refusal(change(await pending(), `${what}, plan_revision = 2`))).toBe('not refused');
    expect(await refusal(change(await pending('denied'), `${what}, plan_revision = 2`))).toBe(BROKEN_RULE);
  });

  test.each([`stages = '{}', plan_revision = 2`, `stages = '[1,2,3,4,5,6,7]', plan_revision = 2`])(
    '%s is none',
    async (what) => expect(await refusal(change(await pending(), what))).toBe(BROKEN_RULE),
  );

  test('it may be decided', async () => {
    expect(await refusal(change(await pending(), `state = 'approved', decided_at = now()`))).toBe('not refused');
  });
});

describe('the life of a grant', () => {
  const states = Object.values(prisma.GrantState);
  const legal: Record<prisma.GrantState, prisma.GrantState[]> = {
    scheduled: ['opening', 'closed'],
    opening: ['active', 'closing'],
    active: ['closing'],
    closing: ['closed', 'failed'],
    closed: [],
    failed: [],
  };
  const pairs = states.flatMap((from) => states.map((to) => [from, to] as const));
  test('there are 36 pairs, 7 of them moves', () => {
    expect([pairs.length, Object.values(legal).flat().length]).toEqual([36, 7]);
  });

  const history = async (id: string) =>
    (
      await app.query<{ move: string }>(
        `SELECT from_state || ' → ' || to_state AS move FROM grant_history WHERE grant_id = $1 ORDER BY id`,
        [id],
      )
    ).rows.map((row) => row.move);

  test.each(pairs)('%s → %s', async (from, to) => {
    const id = await grantIn(from);
    const before = await history(id);
    if (from === to || legal[from].includes(to)) {
      await move(id, to);
      expect(await history(id)).toEqual(from === to ? before : [...before, `${from} → ${to}`]);
    } else {
      expect(await refusal(move(id, to))).toBe(NO_SUCH_MOVE);
      expect((await app.query('SELECT state FROM access_grant WHERE id = $1', [id])).rows).toEqual([{ state: from }]);
      expect(await history(id)).toEqual(before);
    }
  });

  test.each(['active', 'closing', 'closed', 'failed'] as const)('does not begin as %s', async (state) => {
    const given = await grantIn('opening');
    const copy = app.query(
      `INSERT INTO access_grant (id, request_id, target_id, profile_id, person_id, login, database, guard_profile, groups, connection_limit, method, mode, state, starts_at, ends_at, created_at, opened_at, closing_since, closed_at)
       SELECT gen_random_uuid(), gen_random_uuid(), target_id, profile_id, person_id, login, database, guard_profile, groups, connection_limit, method, mode, $2::"GrantState", starts_at, ends_at, created_at,
              CASE WHEN $2 = 'active' THEN now() END, CASE WHEN $2 = 'closing' THEN now() END, CASE WHEN $2 IN ('closed', 'failed') THEN now() END
         FROM access_grant WHERE id = $1`,
      [given, state],
    );
    expect(await refusal(copy)).toBe(BROKEN_RULE);
  });

  test('what was ever open did not fail', async () => {
    const id = await grantIn('active');
    await move(id, 'closing');
    expect(
      await refusal(app.query(`UPDATE access_grant SET state = 'failed', closed_at = now() WHERE id = $1`, [id])),
    ).toBe(BROKEN_RULE);
    await move(id, 'closed');
  });

  test.each<[prisma.GrantState, string]>([
    ['opening', `state = 'active'`],
    ['opening', `state = 'closing'`],
    ['closing', `state = 'closed'`],
    ['closing', `state = 'failed'`],
    ['active', `closed_at = now()`],
    ['closed', `closed_at = NULL`],
    ['active', `ends_at = starts_at`],
    ['active', `mode = 'session', principal_arn = 'arn:aws:iam::123456789012:user/ana'`],
  ])('%s: %s alone is half a truth', async (from, change) => {
    const id = await grantIn(from);
    expect(await refusal(app.query(`UPDATE access_grant SET ${change} WHERE id = $1`, [id]))).toBe(BROKEN_RULE);
  });

  const identity: [string, string][] = [
    ['request_id', 'gen_random_uuid()'],
    ['target_id', 'gen_random_uuid()'],
    ['profile_id', 'gen_random_uuid()'],
    ['person_id', 'gen_random_uuid()'],
    ['login', `'bob'`],
    ['guard_profile', `'write'`],
    ['groups', `'{writers}'`],
    ['connection_limit', '6'],
    ['creates_roles', 'true'],
    ['method', `'password'`],
    ['mode', `'attached'`],
    ['principal_arn', `'arn:aws:iam::123456789012:user/eve'`],
  ];
  test.each(identity)('%s is never changed, not even by the owner', async (column, value) => {
    const id = await grantIn('opening');
    const change = `UPDATE access_grant SET ${column} = ${value} WHERE id = $1`;
    for (const pool of [app, database.owner]) {
      const error = await pool.query(change, [id]).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({ code: BROKEN_RULE, message: 'what a grant gives to whom is never changed' });
    }
  });
});

describe('the end of a grant', () => {
  test.each<[prisma.GrantState, string]>([
    ['scheduled', 'moved'],
    ['opening', 'moved'],
    ['active', 'moved'],
    ['closing', BROKEN_RULE],
    ['closed', BROKEN_RULE],
    ['failed', BROKEN_RULE],
  ])('of one that is %s: %s', async (state, expected) => {
    const id = await grantIn(state);
    for (const by of ['10 min', '-5 min']) {
      const change = `UPDATE access_grant SET ends_at = ends_at + $2::interval WHERE id = $1`;
      const outcome = await app.query(change, [id, by]).then(
        () => 'moved',
        (error: unknown) => (error instanceof pg.DatabaseError ? error.code : String(error)),
      );
      expect([by, outcome]).toEqual([by, expected]);
    }
  });
});

describe('a request', () => {
  /** Of kind open for a grant of its own, with what the test wants otherwise. */
  const ask = (more: Record<string, unknown>): Promise<unknown> => {
    const row = {
      ...{ id: randomUUID(), kind: 'open', grant_id: randomUUID(), extends_id: null, target_id: target },
      ...{ profile_id: profile, person_id: person, login: 'ana', database: 'orders', duration_minutes: 30 },
      ...{ reason: 'why', method: 'iam', mode: 'session', state: 'pending', approvals_needed: 1, plan: {} },
      ...{ created_at: new Date(), decide_by: new Date(), decided_at: null, ...more },
    };
    const places = Object.keys(row).map((_, index) => `$${index + 1}`);
    const text = `INSERT INTO request (${Object.keys(row).join(', ')}) VALUES (${places.join(', ')})`;
    return app.query(text, Object.values(row));
  };
  const extension = (id: string) => ({ kind: 'extend', grant_id: null, extends_id: id });
  const over = { decided_at: new Date() };

  test.each<[string, (grant: string) => Record<string, unknown>, string]>([
    ['of kind open', () => ({}), 'not refused'],
    ['of kind extend', extension, 'not refused'],
    ['of kind open without a grant to be', () => ({ grant_id: null }), BROKEN_RULE],
    ['of kind open that extends', (id) => ({ extends_id: id }), BROKEN_RULE],
    ['of kind extend with a grant of its own', (id) => ({ ...extension(id), grant_id: randomUUID() }), BROKEN_RULE],
    ['of kind extend of nothing', () => ({ kind: 'extend', grant_id: null }), BROKEN_RULE],
    ['with no plan at all', () => ({ plan_revision: 0 }), BROKEN_RULE],
    ['that waits and has ended', () => ({ close_reason: 'why' }), BROKEN_RULE],
    ['that was denied, for another reason', () => ({ state: 'denied', close_reason: 'why', ...over }), BROKEN_RULE],
    ['that expired', () => ({ state: 'expired', close_reason: 'why', ...over }), 'not refused'],
  ])('%s', async (_, more, expected) => {
    expect(await refusal(ask(more(await grantIn('opening'))))).toBe(expected);
  });

  test('for more time waits alone', async () => {
    const id = await grantIn('active');
    expect(await refusal(ask(extension(id)))).toBe('not refused');
    expect(await refusal(ask(extension(id)))).toBe('23505');
    expect(await refusal(ask({ ...extension(id), state: 'approved', ...over }))).toBe('not refused');
  });
});

describe('the record', () => {
  const sealed = ['audit_seal', 'audit_node', 'audit_checkpoint'];
  const records = ['audit_event', ...sealed, 'grant_history', 'login_name', 'policy_version', 'policy_activation'];
  beforeAll(async () => {
    await move(await grantIn('opening'), 'active');
    await app.query(`INSERT INTO login_name (name, person_id, created_at) VALUES ('ana', $1, now())`, [person]);
    await app.query(
      `INSERT INTO audit_event (id, at, actor_kind, actor_name, action, outcome, details, correlation_id) VALUES (gen_random_uuid(), now(), 'system', 'test', 'token.mint', 'success', '{}', 'c')`,
    );
    await app.query(`INSERT INTO audit_seal (seq, event_id, leaf) SELECT 1, id, sha256('') FROM audit_event LIMIT 1`);
    await app.query(`INSERT INTO audit_node (level, index, hash) VALUES (8, 0, sha256(''))`);
    await app.query(`INSERT INTO audit_checkpoint (size, root, settled, at) VALUES (1, sha256(''), 1, now())`);
    await app.query(
      `WITH written AS (INSERT INTO policy_version (id, number, text, sha256, author_id, note, created_at)
         VALUES (gen_random_uuid(), 1, 'x', encode(sha256('x'), 'hex'), $1, 'why', now()) RETURNING id)
       INSERT INTO policy_activation (version_id, activated_by_id, reason, at) SELECT id, $1, 'activation', now() FROM written`,
      [person],
    );
  });
  test('gives each line its ordinal itself', async () => {
    const chosen = `INSERT INTO audit_event (id, at, actor_kind, actor_name, action, outcome, details, correlation_id, ordinal)
      VALUES (gen_random_uuid(), now(), 'system', 'test', 'token.mint', 'success', '{}', 'c', 0)`;
    await expect(app.query(chosen)).rejects.toMatchObject({ code: '42501' });
  });

  test.each(['infinity', '-infinity', '1999-12-31T23:59:59Z', '10000-01-01T00:00:00Z'])(
    'has no line of the time %s, which readers cannot hold',
    async (moment) => {
      const line = `INSERT INTO audit_event (id, at, actor_kind, actor_name, action, outcome, details, correlation_id)
        VALUES (gen_random_uuid(), $1, 'system', 'test', 'token.mint', 'success', '{}', 'c')`;
      await expect(app.query(line, [moment])).rejects.toMatchObject({ code: '23514', constraint: 'audit_event_at' });
    },
  );

  const column: Record<string, string> = {
    audit_event: 'actor_name',
    audit_seal: 'leaf',
    audit_node: 'hash',
    audit_checkpoint: 'note',
    grant_history: 'moved_at',
    login_name: 'created_at',
    policy_version: 'note',
    policy_activation: 'at',
  };

  test.each([
    ['another hash than its own', `(gen_random_uuid(), 2, 'x', 'abc', $1, 'why', now())`],
    ['no note', `(gen_random_uuid(), 2, 'x', encode(sha256('x'), 'hex'), $1, '', now())`],
    ['the number 0', `(gen_random_uuid(), 0, 'x', encode(sha256('x'), 'hex'), $1, 'why', now())`],
  ])('a policy version with %s is refused', async (_, values) => {
    const insert = `INSERT INTO policy_version (id, number, text, sha256, author_id, note, created_at) VALUES ${values}`;
    expect(await refusal(app.query(insert, [person]))).toBe(BROKEN_RULE);
  });

  test.each([
    ['over lines that are not there', 3, 1],
    ['over those that had one', 1, 1],
    ['with less settled than before', 2, 0],
  ])('a checkpoint %s is refused', async (_, size, settled) => {
    const seal = `INSERT INTO audit_seal (seq, event_id, leaf) SELECT 2, gen_random_uuid(), sha256('')`;
    const insert = `INSERT INTO audit_checkpoint (size, root, settled, at) VALUES ($1, sha256(''), $2, now())`;
    const session = await app.connect();
    try {
      await session.query('BEGIN');
      await session.query(seal);
      expect(await refusal(session.query(insert, [size, settled]))).toBe(BROKEN_RULE);
    } finally {
      await session.query('ROLLBACK');
      session.release();
    }
  });

  test.each([
    ['that have yet to come', '1000000'],
    ['that have no place', `(SELECT max(ordinal) FROM audit_event)`],
  ])('a checkpoint that says lines to be settled %s is refused', async (_, settled) => {
    const session = await app.connect();
    try {
      await session.query('BEGIN');
      for (const at of [1, 2])
        await session.query(
          `INSERT INTO audit_event (id, at, actor_kind, actor_name, action, outcome, details, correlation_id) VALUES (gen_random_uuid(), now(), 'system', 'test', 'token.mint', 'success', '{}', $1)`,
          [`settled ${at}`],
        );
      await session.query(
        `INSERT INTO audit_seal (seq, event_id, leaf) SELECT 2, id, sha256('') FROM audit_event WHERE correlation_id = 'settled 2'`,
      );
      const insert = `INSERT INTO audit_checkpoint (size, root, settled, at) VALUES (2, sha256(''), ${settled}, now())`;
      expect(await refusal(session.query(insert))).toBe(BROKEN_RULE);
    } finally {
      await session.query('ROLLBACK');
      session.release();
    }
  });

  test('a checkpoint is signed once, with a note over its own tree, and else stays as it is', async () => {
    const root = `encode(sha256(''), 'base64')`;
    const sign = (set: string) => refusal(app.query(`UPDATE audit_checkpoint SET ${set} WHERE size = 1`));
    const session = await app.connect();
    try {
      await session.query('BEGIN');
      for (const note of [`E'x\\n2\\n' || ${root}`, `E'x\\n1\\n' || encode(sha256('x'), 'base64')`, `''`, 'NULL'])
        expect([note, await sign(`note = ${note}`)]).toEqual([note, FORBIDDEN]);
      expect(await sign(`note = E'x\\n1\\n' || ${root}, settled = 2`)).toBe(FORBIDDEN);
      await session.query(`UPDATE audit_checkpoint SET note = E'x\\n1\\n' || ${root} WHERE size = 1`);
      const again = session.query(`UPDATE audit_checkpoint SET note = E'y\\n1\\n' || ${root} WHERE size = 1`);
      expect(await refusal(again)).toBe(FORBIDDEN);
    } finally {
      await session.query('ROLLBACK');
      session.release();
    }
  });

  test('what a redaction is made with is the owner’s: the service may read it', async () => {
    const insert = `INSERT INTO audit_redaction (event_id, part, person_id, commitment, at) SELECT id, 'actor', $1, sha256(''), now() FROM audit_event LIMIT 1`;
    expect(await refusal(app.query(insert, [person]))).toBe('42501');
    await app.query(`INSERT INTO audit_person_key (person_id, key) VALUES ($1, sha256(''))`, [person]);
    expect(await refusal(app.query('DELETE FROM audit_person_key'))).toBe('42501');
    expect(await refusal(app.query(`UPDATE audit_person_key SET key = sha256('x')`))).toBe('42501');
  });

  test('what is shipped is only ever gone back to', async () => {
    const insert = `INSERT INTO policy_activation (activated_by_id, reason, at) VALUES ($1, 'activation', now())`;
    expect(await refusal(app.query(insert, [person]))).toBe(BROKEN_RULE);
  });

  describe.each(records)('%s', (table) => {
    test.each(['UPDATE', 'DELETE', 'TRUNCATE'])('%s is refused to the service and to the owner', async (verb) => {
      const name = column[table] ?? '';
      const sql =
        {
          UPDATE: `UPDATE ${table} SET ${name} = ${name}`,
          DELETE: `DELETE FROM ${table}`,
          TRUNCATE: `TRUNCATE ${table} CASCADE`,
        }[verb] ?? '';
      const { rowCount } = await app.query(`SELECT FROM ${table}`);
      expect(rowCount).toBeGreaterThan(0);
      for (const pool of [app, database.owner]) expect(await refusal(pool.query(sql))).toBe(FORBIDDEN);
    });

    test.each([
      `ALTER TABLE ${table} DISABLE TRIGGER ALL`,
      `DROP TRIGGER ${table}_append_only ON ${table}`,
      `CREATE TRIGGER other BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION append_only()`,
      `CREATE RULE other AS ON INSERT TO ${table} DO INSTEAD NOTHING`,
      `ALTER TABLE ${table} ADD COLUMN x int`,
      `DROP TABLE ${table} CASCADE`,
      `GRANT ALL ON ${table} TO usher_app`,
    ])('the service may not: %s', async (sql) => {
      const error = await app.query(sql).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      // a right that one does not have can be "given" without effect: PostgreSQL only warns
      if (sql.startsWith('GRANT')) expect(await refusal(app.query(`DELETE FROM ${table}`))).toBe(FORBIDDEN);
      else expect(error).toMatchObject({ code: FORBIDDEN });
    });
  });

  test('the history is written by the database alone', async () => {
    const id = await grantIn('opening');
    const insert = `INSERT INTO grant_history (grant_id, from_state, to_state) VALUES ($1, 'opening', 'active')`;
    expect(await refusal(app.query(insert, [id]))).toBe(FORBIDDEN);
  });

  test.each([
    "INSERT INTO grant_move VALUES ('closed', 'active')",
    'UPDATE grant_move SET to_state = to_state',
    'DELETE FROM grant_move',
    'TRUNCATE grant_move',
  ])("the moves are not the service's to change: %s", async (sql) =>
    expect(await refusal(app.query(sql))).toBe(FORBIDDEN),
  );

  test.each([
    'CREATE OR REPLACE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$',
    'DROP FUNCTION append_only() CASCADE',
    'DROP FUNCTION grant_moves() CASCADE',
    `SET session_replication_role = 'replica'`,
    'CREATE TABLE mine (x int)',
  ])('nor is what guards them: %s', async (sql) => expect(await refusal(app.query(sql))).toBe(FORBIDDEN));

  test.each(['person', 'target', 'profile', 'request', 'vote', 'access_grant', 'connection'])(
    'no %s is ever deleted by the service',
    async (table) => {
      expect(await refusal(app.query(`DELETE FROM ${table}`))).toBe(FORBIDDEN);
    },
  );

  test('a vote is not changed', async () =>
    expect(await refusal(app.query('UPDATE vote SET verdict = verdict'))).toBe(FORBIDDEN));

  test('a person has one login name, and a name one person', async () => {
    const other = randomUUID();
    await app.query(
      `INSERT INTO person (id, issuer, subject, name, first_seen_at, last_seen_at) VALUES ($1, 'https://idp.example', 'bob', 'Bob', now(), now())`,
      [other],
    );
    const claim = (name: string, who: string) =>
      refusal(app.query('INSERT INTO login_name (name, person_id, created_at) VALUES ($1, $2, now())', [name, who]));
    expect(await claim('ana', other)).toBe('23505');
    expect(await claim('ana2', person)).toBe('23505');
    for (const name of ['', 'Bob', '1bob', 'bob-1', 'b'.repeat(64), 'böb', 'bob"'])
      expect([name, await claim(name, other)]).toEqual([name, BROKEN_RULE]);
  });
});

describe('one list of words', () => {
  const members = (list: object): string[] => Object.values(list).map(String).sort();
  /** Compiles only while both have the same members. */
  type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
  const typed: [
    Same<`${GrantState}`, prisma.GrantState>,
    Same<`${IamMode}`, prisma.Mode>,
    Same<`${LoginMethod}`, prisma.Method>,
    Same<`${RequestKind}`, prisma.RequestKind>,
    Same<`${RequestState}`, prisma.RequestState>,
    Same<`${Verdict}`, prisma.Verdict>,
    Same<`${AuditOutcome}`, prisma.Outcome>,
    Same<`${TargetEnvironment}`, (typeof environments)[number]>,
  ] = [true, true, true, true, true, true, true, true];

  test('in types', () => expect(typed.every(Boolean)).toBe(true));

  test.each([
    ['GrantState', GrantState, prisma.GrantState],
    ['Mode', IamMode, prisma.Mode],
    ['Method', LoginMethod, prisma.Method],
    ['RequestKind', RequestKind, prisma.RequestKind],
    ['RequestState', RequestState, prisma.RequestState],
    ['Verdict', Verdict, prisma.Verdict],
    ['Outcome', AuditOutcome, prisma.Outcome],
  ])('%s: contract, Prisma and PostgreSQL', async (name, contract, generated) => {
    const { rows } = await app.query<{ word: string }>(
      'SELECT unnest(enum_range(NULL::%)::text[]) AS word'.replace('%', pg.escapeIdentifier(name)),
    );
    expect(members(contract)).toEqual(members(generated));
    expect(members(contract)).toEqual(rows.map(({ word }) => word).sort());
  });

  test.each([
    ['target_kind', TargetKind],
    ['target_environment', TargetEnvironment],
    ['endpoint_kind', EndpointKind],
  ])('%s: contract and CHECK', async (constraint, contract) => {
    const { rows } = await app.query<{ text: string }>(
      'SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE conname = $1',
      [constraint],
    );
    const words = [...(rows[0]?.text ?? '').matchAll(/'([^']+)'::text/g)].map((match) => match[1] ?? '');
    expect(words.sort()).toEqual(members(contract));
  });
});

test('functions with the rights of their owner find nothing that somebody else could have made', async () => {
  const { rows } = await database.owner.query<{ name: string; settings: string[] | null }>(
    `SELECT oid::regprocedure::text AS name, proconfig AS settings FROM pg_proc
      WHERE prosecdef AND pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) ORDER BY 1`,
  );
  expect(rows.map(({ name }) => name)).toEqual(expect.arrayContaining(['audit_drop_expired()', 'grant_moves()']));
  expect(rows.filter(({ settings }) => !settings?.includes('search_path=pg_catalog, pg_temp'))).toEqual([]);
  const { rows: open } = await database.owner.query<{ open: boolean }>(
    `SELECT has_schema_privilege('public', current_schema(), 'CREATE') AS open`,
  );
  expect(open).toEqual([{ open: false }]);
});
