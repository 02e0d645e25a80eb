import { randomBytes } from 'node:crypto';
import { faultBehind } from './advice.js';
import { closeParameters, openParameters, statements } from './calls.js';
import { presentLogin, type InspectRow, type LeaseRow } from './present.js';
import {
  attempt,
  isPlain,
  missing,
  ok,
  quoted,
  refusedLine,
  runTargetSql,
  type Ask,
  type Ground,
} from './proof-line.js';
import type { GuardProfile, LoginMethod, Proof } from './target-session.js';

interface Trial {
  right: string;
  profile: GuardProfile;
  method: LoginMethod;
  /** Login name to try with; method password adds the suffix that the guard asks for. */
  probe: string;
}

/**
 * Opens a profile for a login that does not exist, looks at what came of it, borrows the right to end its sessions, closes
 * it, and rolls all of that back. Real statements: what is refused here would be refused to a person.
 */
export async function tryProfile(ask: Ask, ground: Ground, trial: Trial): Promise<Proof[]> {
  await ask('BEGIN ISOLATION LEVEL READ COMMITTED');
  try {
    return await attempt(trial.right, () => opened(ask, ground, trial));
  } finally {
    await ask('ROLLBACK');
  }
}

async function opened(ask: Ask, ground: Ground, trial: Trial): Promise<Proof[]> {
  const { right, profile, method } = trial;
  const base = trial.probe.replace(/_pw$/, '');
  const login = method === 'password' ? `${base}_pw` : base;
  const grantId = `check-${randomBytes(8).toString('hex')}`;
  const [clock] = await ask<{ now: Date }>('SELECT clock_timestamp() AS now');
  const endsAt = new Date((clock?.now ?? new Date()).getTime() + 30_000);
  const { name, groups, connectionLimit, createsRoles } = profile;
  const what = { profile: name, groups, connectionLimit, createsRoles, method };
  const lease = { login, person: 'check-nobody', ...what, grantId, endsAt };
  try {
    await ask(statements.open, openParameters(lease));
  } catch (error) {
    return [await refused(ask, ground, trial, error)];
  }
  const step = (what: string, look: () => Promise<Proof>): Promise<Proof[]> => within(ask, `${what} ${name}`, look);
  const steps = [
    ...(await looked(ask, trial, login)),
    ...(method === 'password' ? await step('password', () => passwordSet(ask, login, grantId)) : []),
    ...(await step(`end sessions ${method}`, () => ended(ask, login))),
    ...(await step(`close ${method}`, () => closed(ask, login, grantId))),
  ];
  const lacking = steps.filter(({ verdict }) => verdict !== 'ok');
  const done = method === 'password' ? 'opened, given a password, closed' : 'opened, closed';
  return lacking.length > 0
    ? lacking
    : [ok(right, `${groups.join(', ')} for ${profile.maxMinutes} minutes: ${done}, rolled back`)];
}

/** One that fails does not take the others with it. */
async function within(ask: Ask, right: string, look: () => Promise<Proof>): Promise<Proof[]> {
  await ask('SAVEPOINT step');
  const proofs = await attempt(right, look);
  await ask('ROLLBACK TO SAVEPOINT step');
  return proofs.map((proof) => ({ ...proof, right }));
}

/** Opened is not enough: the memberships must be there, and count. */
async function looked(ask: Ask, { right, profile, method }: Trial, login: string): Promise<Proof[]> {
  const [row] = await ask<{ outcome: InspectRow }>(statements.inspect, [[login]]);
  const found = row && presentLogin(row.outcome);
  const wanted = [...profile.groups, ...(method === 'iam' ? ['rds_iam'] : [])];
  const lacking = wanted.filter(
    (role) => !found?.memberships.some((held) => held.role === role && held.inherit !== false),
  );
  if (lacking.length > 0) {
    return [missing(right, `opened, but without ${lacking.join(', ')}`, runTargetSql)];
  }
  return [];
}

/** A verifier of no password at all: nobody knows one that gives these keys. */
async function passwordSet(ask: Ask, login: string, grantId: string): Promise<Proof> {
  const key = (bytes: number): string => randomBytes(bytes).toString('base64');
  await ask(statements.setPassword, [login, grantId, `SCRAM-SHA-256$4096:${key(16)}$${key(32)}:${key(32)}`]);
  return ok('', 'set');
}

async function ended(ask: Ask, login: string): Promise<Proof> {
  await ask(statements.reach, [login, true]);
  const [row] = await ask<{ may: boolean }>(`SELECT pg_has_role('usher_owner', $1::name, 'USAGE') AS may`, [login]);
  await ask(statements.reach, [login, false]);
  await ask(statements.terminate, [[login]]);
  if (row?.may !== true) return missing('', 'the membership that ends them gives no rights', runTargetSql);
  return ok('', 'borrowed and given back');
}

/** What is granted and cannot be taken back would stay with a person for ever. */
async function closed(ask: Ask, login: string, grantId: string): Promise<Proof> {
  const [row] = await ask<{ outcome: LeaseRow }>(statements.close, closeParameters({ login, grantId, why: 'check' }));
  const leftover = row?.outcome.leftover ?? [];
  if (leftover.length > 0) return missing('', `closed, but ${leftover.join(', ')} stayed`, runTargetSql);
  return ok('', 'nothing was left');
}

async function refused(ask: Ask, ground: Ground, { right, profile }: Trial, error: unknown): Promise<Proof> {
  const told = refusedLine(right, error);
  const why = faultBehind(error)?.reason === 'login_name' ? narrow : await whyNot(ask, ground, profile);
  return why === undefined ? told : missing(right, `${told.finding} ${why.finding}`, why.remedy);
}

interface Why {
  finding: string;
  remedy: string;
}

const narrow: Why = {
  finding: 'The login_pattern in usher.setting is narrower than check_….',
  remedy: 'npm run usher -- target-check … --probe <a login name that fits it and that nobody has>',
};

function allowAgain(profile: GuardProfile): string {
  const { name, groups, maxMinutes, connectionLimit, methods, managesPasswords, createsRoles } = profile;
  const by = `'{${methods.join(',')}}'`;
  return managesPasswords
    ? `SELECT usher.allow_password_manager('${name}', ${maxMinutes}, ${connectionLimit}, ${createsRoles}, ${by}, ${createsRoles});`
    : `SELECT usher.allow('${name}', '${literal(groups)}', ${maxMinutes}, ${connectionLimit}, ${by});`;
}
const literal = (names: readonly string[]): string =>
  `{${names.map((name) => (isPlain(name) ? name : `"${name.replaceAll(/["\\]/g, '\\$&').replaceAll("'", "''")}"`)).join(',')}}`;

/** The catalogs say what a refusal does not: which group, and what about it. Asked outside the failed transaction. */
async function whyNot(ask: Ask, ground: Ground, profile: GuardProfile): Promise<Why | undefined> {
  await ask('ROLLBACK');
  for (const group of profile.groups) {
    const why = await whyNotGroup(ask, ground, profile, group);
    if (why !== undefined) return why;
  }
  return undefined;
}

interface GroupRow {
  there: boolean;
  rich: string | null;
  attributes: string[] | null;
  grantable: boolean;
}

/** As `usher._bad_group` judges; that function is the DBA's. */
const aboutGroup = `
  WITH RECURSIVE up(o) AS (
    SELECT oid FROM pg_roles WHERE rolname = $1::text
    UNION SELECT m.roleid FROM pg_auth_members m JOIN up ON m.member = up.o)
  SELECT EXISTS (SELECT 1 FROM up) AS there, bad.rolname AS rich, bad.attributes,
         EXISTS (SELECT 1 FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                  WHERE g.rolname = $1 AND m.member = 'usher_owner'::regrole AND m.admin_option) AS grantable
    FROM (VALUES (1)) AS always LEFT JOIN (
      SELECT r.rolname, array_remove(ARRAY[CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
               CASE WHEN r.rolcreatedb THEN 'CREATEDB' END, CASE WHEN r.rolreplication THEN 'REPLICATION' END,
               CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END, CASE WHEN r.rolcanlogin THEN 'LOGIN' END], NULL) AS attributes
        FROM up JOIN pg_roles r ON r.oid = up.o
       WHERE r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls OR r.rolcanlogin
          OR (r.rolname ~ '^(usher_|rds)' AND NOT ($2::boolean AND r.rolname = 'rds_password')) OR r.rolname ~ '^pg_' AND r.rolname NOT IN ('pg_read_all_data', 'pg_write_all_data',
             'pg_monitor', 'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables', 'pg_maintain')
       LIMIT 1) AS bad ON true`;

async function whyNotGroup(ask: Ask, ground: Ground, profile: GuardProfile, group: string): Promise<Why | undefined> {
  const [row] = await ask<GroupRow>(aboutGroup, [group, profile.managesPasswords]);
  if (row === undefined) return undefined;
  const name = quoted(group);
  if (!row.there) return { finding: `Role ${group} does not exist.`, remedy: `CREATE ROLE ${name} NOLOGIN;` };
  if (row.rich !== null && row.attributes !== null && row.attributes.length > 0) {
    const off = row.attributes.map((attribute) => `NO${attribute}`).join(' ');
    return {
      finding: `${group} reaches ${row.rich}, which has ${row.attributes.join(', ')}.`,
      remedy: `ALTER ROLE ${quoted(row.rich)} ${off};`,
    };
  }
  if (row.rich !== null) {
    return { finding: `${group} reaches ${row.rich}.`, remedy: `REVOKE ${quoted(row.rich)} FROM ${name};` };
  }
  if (ground.major >= 16 && !row.grantable) {
    return { finding: `usher_owner may not grant ${group}.`, remedy: allowAgain(profile) };
  }
  return undefined;
}
