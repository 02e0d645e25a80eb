import { readDocument } from '../../src/aws/packing-slot.ts';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { DriftJobs } from '../../src/grants/drift.job.ts';
import type { PostgresMajor } from '../../src/platform/embedded-postgres.ts';
import { standInMajors } from '../support/majors.ts';
import { holdGuard } from '../support/held.ts';
import { until } from '../support/until.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { asAdmin, holdings, nothing, type Holdings } from './holdings.ts';
import {
  closed,
  iamUser,
  known,
  logIn,
  opened,
  person,
  revoke,
  setStage,
  type Grant,
  type Person,
  type Stage,
  type TargetName,
} from './stage.ts';

// Each case opens a grant and has it looked at four times.
vi.setConfig({ testTimeout: 60_000 });

/** Longer than the clocks that are compared may differ. */
const SETTLED_MS = 6_000;

const drift: { minutes: number; mode: 'report' | 'repair' } = { minutes: 0, mode: 'report' };
let usher: Usher;
let stage: Stage;
let dave: Person;

beforeAll(async () => {
  usher = await startUsher({ settings: { drift } });
  stage = await setStage(usher);
  dave = await known(stage, 'dave');
});
afterAll(() => usher?.close());

interface Finding {
  id: string;
  kind: string;
  subject: string;
  message: string;
  remedy: string;
  repairable: boolean;
  login: string | null;
  grantId: string | null;
  repairedAt: string | null;
  resolution: string | null;
}

/** Looks now; what is open about this login, or this role. */
async function look(target: TargetName, about: string, mode: typeof drift.mode): Promise<Finding[]> {
  drift.mode = mode;
  const { status, body } = await dave.post<{ findings: Finding[] }>(`/v1/targets/${stage.targets[target].id}/drift`);
  expect([status, body]).toEqual([200, expect.anything()]);
  drift.mode = 'report';
  return body.findings
    .filter(({ login, subject }) => login === about || subject.split(' ').includes(about))
    .sort((a, b) => (a.kind < b.kind ? -1 : 1));
}

const names = (findings: readonly Finding[]): string[] => findings.map(({ kind, subject }) => `${kind} ${subject}`);

/** What the record says of a finding, oldest first. */
async function told(target: TargetName, subject: string): Promise<string[]> {
  const { rows } = await usher.database.owner.query<{ line: string }>(
    `SELECT concat_ws(' ', action, details->>'kind', details->>'resolution') AS line FROM audit_event
      WHERE target_id = $1 AND details->>'subject' = $2 AND action LIKE 'drift.%' ORDER BY id`,
    [stage.targets[target].id, subject],
  );
  return rows.map(({ line }) => line);
}

async function metric(name: string): Promise<number> {
  const { body } = await dave.get<{ text: string }>('/metrics');
  const line = body.text.split('\n').find((one) => one.startsWith(`${name} `));
  return Number(line?.split(' ').at(-1));
}

const sql =
  (statement: (login: string, grantId: string) => string) =>
  (target: TargetName, login: string, grantId: string): Promise<void> =>
    asAdmin(stage.standIn, target, async (admin) => {
      await admin.query(statement(login, grantId));
    });

/** A membership in the guard's own name, which from 16 on only a superuser can forge. */
const byGuard = (target: TargetName): string => (standInMajors[target] >= 16 ? ' GRANTED BY usher_owner' : '');
const readers: Record<TargetName, string> = { orders: 'orders_read', billing: 'billing_read' };

interface Case {
  provoke: (target: TargetName, login: string, grantId: string) => Promise<unknown>;
  /** Kinds with what follows the login in the subject. */
  found: (target: TargetName, grantId: string) => string[];
  /** The first major on which there is such a thing. */
  since?: PostgresMajor;
}

/** Of a login with a live grant. A repair makes it again what the guard made of it. */
const mended: Record<string, Case> = {
  'a lease that no grant here knows': {
    provoke: sql(
      (login, id) => `INSERT INTO usher.lease SELECT (jsonb_populate_record(l, '{"grant_id": "restored-1"}')).*
        FROM usher.lease l WHERE l.login = '${login}' AND l.grant_id = '${id}'`,
    ),
    found: () => ['orphan_lease restored-1'],
  },
  'a lease that is gone': {
    provoke: sql((_, id) => `DELETE FROM usher.lease WHERE grant_id = '${id}'`),
    found: (_, id) => [`missing_lease ${id}`],
  },
  'a lease to another end': {
    provoke: sql((_, id) => `UPDATE usher.lease SET ends_at = ends_at - interval '5 min' WHERE grant_id = '${id}'`),
    found: (_, id) => [`lease_end ${id}`, 'valid_until'],
  },
  'a login that was dropped': { provoke: sql((login) => `DROP ROLE ${login}`), found: () => ['login_gone'] },
  'a right to log in that was taken': {
    provoke: sql((login) => `ALTER ROLE ${login} NOLOGIN`),
    found: () => ['lost_login'],
  },
  'a membership that was taken': {
    provoke: (target, ...rest) =>
      sql((login) => `REVOKE ${readers[target]} FROM ${login}${byGuard(target)}`)(target, ...rest),
    found: (target) => [`lost_membership ${readers[target]}`],
  },
  'rds_iam that was taken': {
    provoke: (target, ...rest) => sql((login) => `REVOKE rds_iam FROM ${login}${byGuard(target)}`)(target, ...rest),
    found: () => ['lost_membership rds_iam'],
  },
  'a membership that no lease gives': {
    provoke: (target, ...rest) =>
      sql((login) => `${mayForge(target)} GRANT ${extra(target)} TO ${login}${byGuard(target)}`)(target, ...rest),
    found: (target) => [`extra_membership ${extra(target)}`],
  },
  'CREATEROLE that appeared': {
    provoke: sql((login) => `ALTER ROLE ${login} CREATEROLE`),
    found: () => ['attribute createrole'],
  },
  'a connection limit that was taken off': {
    provoke: sql((login) => `ALTER ROLE ${login} CONNECTION LIMIT -1`),
    found: () => ['attribute connection limit'],
  },
  'a password that was set with an end of its own': {
    provoke: sql((login) => `ALTER ROLE ${login} PASSWORD 'known-to-somebody' VALID UNTIL 'infinity'`),
    found: () => ['valid_until'],
  },
  'a member': {
    provoke: (target, login) =>
      sql(() => `CREATE ROLE friend_of_${login}; GRANT ${login} TO friend_of_${login}${byGuard(target)}`)(
        ...([target, login, ''] as const),
      ),
    found: () => ['member friend_of_'],
  },
};

/** From 16 on a grantor needs ADMIN: usher_owner has it on the groups of profiles, and on no other. */
const mayForge = (target: TargetName): string =>
  standInMajors[target] >= 16 ? `GRANT ${extra(target)} TO usher_owner WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;` : '';
/** A group that the grant does not give. */
const extra = (target: TargetName): string => (target === 'orders' ? 'orders_write' : 'pg_monitor');

/** Of a login with a live grant. No repair touches it; it is gone when somebody puts it right. */
const reported: Record<string, Case & { undo: Case['provoke'] }> = {
  'an attribute that is not the guard’s to take': {
    provoke: sql((login) => `ALTER ROLE ${login} CREATEDB`),
    found: () => ['attribute createdb'],
    undo: sql((login) => `ALTER ROLE ${login} NOCREATEDB`),
  },
  'a membership by another grantor': {
    provoke: (target, login, id) => sql(() => `GRANT ${extra(target)} TO ${login}`)(target, login, id),
    found: (target) => [`foreign_grantor ${extra(target)} ${adminOf(target)}`],
    undo: (target, login, id) => sql(() => `REVOKE ${extra(target)} FROM ${login}`)(target, login, id),
    since: 16,
  },
  'another person': {
    provoke: sql((login) => `UPDATE usher.login SET person = 'somebody-else' WHERE name = '${login}'`),
    found: () => ['wrong_person'],
    undo: async (target, login) => {
      const { rows } = await usher.database.owner.query<{ id: string }>(
        'SELECT person_id AS id FROM login_name WHERE name = $1',
        [login],
      );
      await sql(() => `UPDATE usher.login SET person = '${rows[0]?.id}' WHERE name = '${login}'`)(target, login, '');
    },
  },
  'a right of the login itself': {
    provoke: sql((login) => `CREATE SCHEMA of_${login}; GRANT USAGE ON SCHEMA of_${login} TO ${login}`),
    found: () => ['direct_grant'],
    undo: sql((login) => `DROP SCHEMA of_${login}`),
  },
};

const adminOf = (target: TargetName): string => stage.standIn.targets[target].rds.admin().user;

interface RoleState extends Holdings {
  attributes: string;
  password: string | null;
  validUntil: Date | null;
  limit: number;
  members: string[];
  ends: Date[];
}

async function roleState(target: TargetName, login: string): Promise<RoleState> {
  const held = await holdings(stage, target, login);
  return asAdmin(stage.standIn, target, async (admin) => {
    const { rows } = await admin.query<Omit<RoleState, keyof Holdings>>(
      `SELECT concat_ws(' ', rolsuper, rolcreaterole, rolcreatedb) AS attributes, rolpassword AS password,
              rolvaliduntil AS "validUntil", rolconnlimit AS limit,
              ARRAY(SELECT m.member::regrole::text FROM pg_auth_members m
                     WHERE m.roleid = a.oid AND m.member <> 'usher_owner'::regrole ORDER BY 1) AS members,
              ARRAY(SELECT ends_at FROM usher.lease WHERE login = $1 AND closed_at IS NULL ORDER BY 1) AS ends
         FROM pg_authid a WHERE rolname = $1`,
      [login],
    );
    return { ...held, ...(rows[0] as Omit<RoleState, keyof Holdings>) };
  });
}

async function withGrant(target: TargetName): Promise<{ who: Person; grant: Grant }> {
  const who = person(stage, 'drifter', ['engineers']);
  const grant = await opened(stage, who, { target });
  usher.clock.move(SETTLED_MS);
  return { who, grant };
}

/** `kind what` as it is of this login. */
const named = (name: string, login: string): string =>
  name.replace(/^(\w+)/, `$1 ${login}`).replace(/ friend_of_$/, ` friend_of_${login}`);

const targets = ['orders', 'billing'] as const;
const casesFor = <C extends Case>(cases: Record<string, C>, target: TargetName): [string, C][] =>
  Object.entries(cases).filter(([, { since = 14 }]) => standInMajors[target] >= since);

describe.each(targets)('a live grant on %s', (target) => {
  test('is found to be as it should be', async () => {
    const { grant } = await withGrant(target);
    expect(await look(target, grant.login, 'repair')).toEqual([]);
  });

  test.each(casesFor(mended, target))('%s: report tells of it once, repair mends it', async (_, { provoke, found }) => {
    const { grant } = await withGrant(target);
    const { login, id } = grant;
    const before = await roleState(target, login);
    await provoke(target, login, id);
    const spoilt = await roleState(target, login).catch(() => 'gone');
    const wanted = found(target, id).map((name) => named(name, login));
    const [subject = ''] = wanted.map((name) => name.slice(name.indexOf(' ') + 1));

    const findings = await look(target, login, 'report');
    expect(names(findings)).toEqual(wanted);
    expect(findings.every(({ repairable, repairedAt }) => repairable && repairedAt === null)).toBe(true);
    expect(names(await look(target, login, 'report'))).toEqual(wanted);
    const [kind] = wanted[0]?.split(' ') ?? [];
    expect(await told(target, subject)).toContain(`drift.found ${kind}`);
    expect((await told(target, subject)).filter((line) => line === `drift.found ${kind}`)).toHaveLength(1);
    expect(await metric(`usher_drift_findings{kind="${kind}"}`)).toBeGreaterThan(0);
    expect(await roleState(target, login).catch(() => 'gone')).toEqual(spoilt);

    const asked = await look(target, login, 'repair');
    expect(asked.every(({ repairedAt }) => repairedAt !== null)).toBe(true);
    await until('it is mended', async () => {
      const now = await roleState(target, login).catch(() => undefined);
      return JSON.stringify(now) === JSON.stringify(before);
    });
    expect(names(await look(target, login, 'report'))).toEqual([]);
    expect(await told(target, subject)).toContain(`drift.resolved ${kind} repaired`);
  });

  test.each(casesFor(reported, target))('%s: is told, and touched by nobody but its owner', async (_, one) => {
    const { grant } = await withGrant(target);
    const { login, id } = grant;
    await one.provoke(target, login, id);
    const spoilt = await roleState(target, login);
    const wanted = one.found(target, id).map((name) => named(name, login));
    const findings = await look(target, login, 'repair');
    expect(names(findings)).toEqual(wanted);
    expect(findings.map(({ repairable, repairedAt }) => [repairable, repairedAt])).toEqual([[false, null]]);
    expect(await roleState(target, login)).toEqual(spoilt);
    await one.undo(target, login, id);
    expect(await look(target, login, 'repair')).toEqual([]);
    const [kind, ...subject] = wanted[0]?.split(' ') ?? [];
    expect(await told(target, subject.join(' '))).toEqual([`drift.found ${kind}`, `drift.resolved ${kind} gone`]);
  });
});

describe.each(targets)('access on %s that no grant gives', (target) => {
  /** A login of which nothing is left but its name. */
  async function former(): Promise<{ login: string; who: Person }> {
    const { who, grant } = await withGrant(target);
    await revoke(who, grant.id);
    await closed(who, grant.id);
    usher.clock.move(SETTLED_MS);
    expect(await look(target, grant.login, 'report')).toEqual([]);
    return { login: grant.login, who };
  }

  test('a login that this store has never heard of is closed, sessions included', async () => {
    const login = `restored_${process.pid}_${target}`;
    const groups = `{${readers[target]}}`;
    const profile = target === 'orders' ? 'reporting-read' : 'invoices-read';
    await sql(
      () => `SELECT usher.open(login => '${login}', person => 'forgotten-person', profile => '${profile}', groups => '${groups}',
        connection_limit => 5, grant_id => 'forgotten-${target}', ends_at => now() + interval '20 min', method => 'iam')`,
    )(target, login, '');
    const found = await look(target, login, 'report');
    expect(names(found)).toEqual([`orphan_lease ${login} forgotten-${target}`, `wrong_person ${login}`]);
    await look(target, login, 'repair');
    await until('it is closed', async () => (await holdings(stage, target, login)).leases.length === 0);
    expect(await holdings(stage, target, login)).toEqual(nothing);
    expect(names(await look(target, login, 'report'))).toEqual([`wrong_person ${login}`]);
    expect(await told(target, `${login} forgotten-${target}`)).toEqual([
      'drift.found orphan_lease',
      'drift.resolved orphan_lease repaired',
    ]);
  });

  test('a login that somebody woke, and a session that it opened, are ended', async () => {
    const { login } = await former();
    const password = 'of-somebodys-own-making';
    await sql(() => `ALTER ROLE ${login} LOGIN PASSWORD '${password}'`)(target, login, '');
    const { rds, database } = stage.standIn.targets[target];
    const [{ host, port } = { host: '', port: 0 }] = rds.endpoints;
    const session = await logIn(stage, { token: password, host, port, user: login, database });
    const found = await look(target, login, 'report');
    expect(found.map(({ kind }) => kind)).toEqual(['orphan_login', 'unknown_session']);
    await look(target, login, 'repair');
    await until('it is ended', async () => (await holdings(stage, target, login)).sessions === 0);
    expect(await roleState(target, login)).toMatchObject({ ...nothing, password: null });
    await expect(session.query('SELECT 1')).rejects.toThrow();
    expect(await look(target, login, 'report')).toEqual([]);
  });
});

describe('what does not carry our marker, or should not', () => {
  test.each([
    ['foreign_marker', 'GRANT usher_managed TO'],
    ['iam_group', 'GRANT rds_iam TO'],
  ])('%s is told loudly and never touched', async (kind, grant) => {
    const role = `stranger_${kind}_${process.pid}`;
    const admin = sql(() => `CREATE ROLE ${role} NOLOGIN; ${grant} ${role}`);
    await admin('orders', '', '');
    const before = await roleState('orders', role);
    const found = await look('orders', role, 'repair');
    expect(found).toMatchObject([{ kind, subject: role, repairable: false, repairedAt: null }]);
    expect(found[0]?.remedy).toContain(role);
    expect(await roleState('orders', role)).toEqual(before);
    await sql(() => `DROP ROLE ${role}`)('orders', '', '');
    expect(await look('orders', role, 'repair')).toEqual([]);
  });
});

describe('IAM policies', () => {
  let made = 0;
  async function attached() {
    const iam = iamUser(stage, `drift-${process.pid}-${++made}`);
    const who = person(stage, 'attached', ['engineers'], { aws_principal: iam.arn });
    const grant = await opened(stage, who, { target: 'orders', mode: 'attached' });
    usher.clock.move(SETTLED_MS);
    const policy = 'usher-connect';
    const text = iam.user.inline.get(policy)?.text ?? '';
    return { iam, who, grant, policy, user: readDocument(text).arns[0] ?? '', text };
  }
  const wide = { Effect: 'Allow', Action: 'rds-db:connect', Resource: '*' };
  const widened = { Version: '2012-10-17', Statement: [wide] };

  test('of a live grant: one that was edited is written anew, one that was taken off is put back', async () => {
    const { iam, policy, user, text } = await attached();
    const named = { ...JSON.parse(text), Id: 'edited' } as Record<string, unknown>;
    expect(await look('orders', iam.arn, 'repair')).toEqual([]);
    const before = iam.user.inline.get(policy);
    for (const [kind, spoil] of [
      ['policy_edited', () => stage.standIn.aws.iam.putInline(iam.user, policy, named)],
      ['policy_missing', () => iam.user.inline.delete(policy)],
    ] as const) {
      spoil();
      const spoilt = iam.user.inline.get(policy);
      expect(names(await look('orders', iam.arn, 'report'))).toEqual([`${kind} ${iam.arn} ${user}`]);
      expect(iam.user.inline.get(policy)).toEqual(spoilt);
      await look('orders', iam.arn, 'repair');
      await until('it is as it was', () =>
        Promise.resolve(JSON.stringify(iam.user.inline.get(policy)) === JSON.stringify(before)),
      );
      expect(await look('orders', iam.arn, 'report')).toEqual([]);
      expect(await told('orders', `${iam.arn} ${user}`)).toContain(`drift.resolved ${kind} repaired`);
    }
  });

  test('without a live grant they are taken off, and nothing else is', async () => {
    const { iam, who, grant, policy, user } = await attached();
    const [document] = [iam.user.inline.get(policy)];
    await revoke(who, grant.id);
    await closed(who, grant.id);
    usher.clock.move(SETTLED_MS);
    stage.standIn.aws.iam.putInline(iam.user, 'theirs', widened);
    stage.standIn.aws.iam.putInline(iam.user, policy, document?.text ?? '');
    expect(names(await look('orders', iam.arn, 'report'))).toEqual([`policy_orphan ${iam.arn} ${user}`]);
    expect(iam.policies()).toEqual(['theirs', policy]);
    await look('orders', iam.arn, 'repair');
    expect(iam.policies()).toEqual(['theirs']);
    expect(await look('orders', iam.arn, 'report')).toEqual([]);
  });

  test('that cannot be read are told of, and what was found before stands', async () => {
    const { iam, policy, user } = await attached();
    iam.user.inline.delete(policy);
    expect(names(await look('orders', iam.arn, 'report'))).toEqual([`policy_missing ${iam.arn} ${user}`]);
    stage.standIn.aws.faults.fail(50, { service: 'iam', action: 'ListUserPolicies' });
    try {
      const found = await look('orders', iam.arn, 'report');
      expect(names(found)).toEqual([`policy_missing ${iam.arn} ${user}`, `unreachable ${iam.arn}`]);
      expect(found[1]?.message).toContain('iam:ListUserPolicies');
    } finally {
      stage.standIn.aws.faults.clear();
    }
    expect(names(await look('orders', iam.arn, 'report'))).toEqual([`policy_missing ${iam.arn} ${user}`]);
    await look('orders', iam.arn, 'repair');
    await until('it is put back', () => Promise.resolve(iam.user.inline.has(policy)));
  });
});

/** Looks that follow on repairs of earlier tests are not waited for, those under way are. */
async function quiet(): Promise<void> {
  const { owner } = usher.database;
  await until('no look is under way', async () => {
    await owner.query(`DELETE FROM pgboss.job WHERE name = 'drift' AND state = 'created'`);
    const { rowCount } = await owner.query(`SELECT 1 FROM pgboss.job WHERE name = 'drift' AND state = 'active'`);
    return rowCount === 0;
  });
}

describe('a look', () => {
  test('costs the target one statement', async () => {
    const { grant } = await withGrant('orders');
    await look('orders', grant.login, 'report');
    const [{ port } = { port: 0 }] = stage.standIn.targets.orders.endpoints;
    const sent: unknown[] = [];
    await quiet();
    const query = vi.spyOn(pg.Client.prototype, 'query');
    try {
      await look('orders', grant.login, 'report');
      query.mock.contexts.forEach((client, index) => {
        if ((client as pg.Client).port === port) sent.push((query.mock.calls[index]?.[0] as { text?: string }).text);
      });
    } finally {
      query.mockRestore();
    }
    expect(sent).toEqual(['SELECT usher.survey() AS outcome']);
  });

  test('that cannot be had is a finding of its own, and nothing else is said to be over', async () => {
    const { grant } = await withGrant('billing');
    const { login } = grant;
    const { rds } = stage.standIn.targets.billing;
    const [{ host, port } = { host: '', port: 0 }] = rds.endpoints;
    await sql(() => `ALTER ROLE ${login} CREATEDB`)('billing', login, '');
    const standing = `attribute ${login} createdb`;
    expect(names(await look('billing', login, 'report'))).toEqual([standing]);
    await rds.stop();
    try {
      const found = await look('billing', `${host}:${port}`, 'report');
      expect(found).toMatchObject([{ kind: 'unreachable', repairable: false }]);
      expect(found[0]?.message).toMatch(/Last seen 20/);
      expect(names(await look('billing', login, 'report'))).toEqual([standing]);
    } finally {
      await rds.start();
    }
    await sql(() => `ALTER ROLE ${login} NOCREATEDB`)('billing', login, '');
    expect(await look('billing', `${host}:${port}`, 'report')).toEqual([]);
    expect(await look('billing', login, 'report')).toEqual([]);
    expect(await told('billing', `${host}:${port}`)).toEqual([
      'drift.found unreachable',
      'drift.resolved unreachable gone',
    ]);
  });

  test('by many at once is told of once', async () => {
    const { grant } = await withGrant('billing');
    await sql((login) => `ALTER ROLE ${login} CREATEDB`)('billing', grant.login, '');
    const subject = `${grant.login} createdb`;
    const all = await Promise.all([1, 2, 3, 4].map(() => look('billing', grant.login, 'report')));
    expect(all.map(names)).toEqual(all.map(() => [`attribute ${subject}`]));
    expect(await told('billing', subject)).toEqual(['drift.found attribute']);
    await sql((login) => `ALTER ROLE ${login} NOCREATEDB`)('billing', grant.login, '');
    await look('billing', grant.login, 'report');
  });

  test('does not cry about what is on its way: an end that was moved', async () => {
    const { who, grant } = await withGrant('billing');
    const held = await holdGuard(stage.standIn.targets.billing.rds.admin());
    const endsAt = new Date(usher.clock.now().getTime() + 10 * 60_000).toISOString();
    try {
      expect((await who.post(`/v1/grants/${grant.id}/shorten`, { endsAt })).body).toMatchObject({ endsAt });
      expect(await look('billing', grant.login, 'report')).toEqual([]);
    } finally {
      await held.release();
    }
    await until(
      'it has arrived',
      async () => (await roleState('billing', grant.login)).ends[0]?.toISOString() === endsAt,
    );
    expect(await look('billing', grant.login, 'report')).toEqual([]);
  });

  test('follows by itself on a repair', async () => {
    const { grant } = await withGrant('billing');
    await sql((login) => `ALTER ROLE ${login} NOLOGIN`)('billing', grant.login, '');
    expect(names(await look('billing', grant.login, 'report'))).toEqual([`lost_login ${grant.login}`]);
    await look('billing', grant.login, 'repair');
    await until(
      'it is resolved',
      async () => (await told('billing', grant.login)).includes('drift.resolved lost_login repaired'),
      50_000,
    );
  });

  test('is due when the last one is too old, and an unreachable target no oftener', async () => {
    const ticks = usher.app.get(DriftJobs, { strict: false });
    const ids = [stage.targets.orders.id, stage.targets.billing.id].sort();
    const due = async (): Promise<string[]> => {
      await quiet();
      await ticks.tick();
      const { rows } = await usher.database.owner.query<{ id: string }>(
        `SELECT data->>'targetId' AS id FROM pgboss.job WHERE name = 'drift' AND state = 'created' AND data ? 'targetId' ORDER BY 1`,
      );
      return rows.map(({ id }) => id);
    };
    drift.minutes = 5;
    await look('orders', '', 'report');
    await look('billing', '', 'report');
    expect(await due()).toEqual([]);
    usher.clock.move(4 * 60_000);
    expect(await due()).toEqual([]);
    usher.clock.move(2 * 60_000);
    expect(await due()).toEqual(ids);
    await look('orders', '', 'report');
    const { rds } = stage.standIn.targets.billing;
    await rds.stop();
    try {
      await look('billing', '', 'report');
      expect(await due()).toEqual([]);
    } finally {
      await rds.start();
    }
    usher.clock.move(6 * 60_000);
    drift.minutes = 0;
    expect(await due()).toEqual([]);
  });

  test('says how old the oldest one is', async () => {
    await look('orders', '', 'report');
    await look('billing', '', 'report');
    const young = await metric('usher_drift_last_seconds');
    usher.clock.move(600_000);
    expect(await metric('usher_drift_last_seconds')).toBeGreaterThanOrEqual(young + 600);
  });
});

describe('who may see it', () => {
  interface Page {
    items: Finding[];
    nextCursor: string | null;
  }

  test('owners what is on their targets, auditors all, others nothing', async () => {
    const { grant } = await withGrant('billing');
    await sql((login) => `ALTER ROLE ${login} CREATEDB`)('billing', grant.login, '');
    await look('billing', grant.login, 'report');
    const here = `/v1/drift?target=${stage.targets.billing.id}&kind=attribute&open=true`;
    const subjects = async (groups: string[], path = here): Promise<(string | null)[]> => {
      const { status, body } = await person(stage, 'reader', groups).get<Page>(path);
      expect([status, body]).toEqual([200, expect.anything()]);
      return body.items.map(({ login }) => login);
    };
    expect(await subjects(['billing-owners'])).toContain(grant.login);
    expect(await subjects(['auditors'])).toContain(grant.login);
    expect(await subjects(['orders-owners'])).toEqual([]);
    expect(await subjects(['engineers'], '/v1/drift')).toEqual([]);
    await sql((login) => `ALTER ROLE ${login} NOCREATEDB`)('billing', grant.login, '');
    await look('billing', grant.login, 'report');
    expect(await subjects(['auditors'])).not.toContain(grant.login);
    expect(await subjects(['auditors'], here.replace('true', 'false'))).toContain(grant.login);
  });

  test('only administrators have it looked at, over GraphQL too', async () => {
    const path = `/v1/targets/${stage.targets.orders.id}/drift`;
    for (const name of ['alice', 'bob', 'carol'] as const)
      expect((await (await known(stage, name)).post(path)).body).toMatchObject({ status: 403, code: 'policy_denied' });
    const mutation = `mutation { lookForDrift(targetId: "${stage.targets.orders.id}") { targetId lookedAt findings { kind } } }`;
    const { errors } = await (await known(stage, 'bob')).graphql(mutation);
    expect(errors?.[0]?.extensions['code']).toBe('policy_denied');
    const { data } = await dave.graphql<{ lookForDrift: { targetId: string } }>(mutation);
    expect(data?.lookForDrift.targetId).toBe(stage.targets.orders.id);
    expect((await dave.post('/v1/targets/nothing/drift')).body).toMatchObject({ code: 'invalid_id' });
  });

  test.each(['kind=none', 'target=x', 'open=maybe', 'cursor=x', 'limit=0'])('%s is refused', async (query) => {
    expect((await dave.get(`/v1/drift?${query}`)).status).toBe(400);
  });
});
