import type pg from 'pg';
import { createAuthority } from '../../local/rds/authority.ts';
import type { PostgresMajor } from '../../src/platform/embedded-postgres.ts';
import { scramVerifier, startGuardTarget, type GuardTarget } from './guard-target.ts';

/** Of every SCRAM verifier in an attack: one password is as good as another. */
export const verifier = scramVerifier('Correct-horse-battery-7');

const text = (value: string | null): string => (value === null ? 'NULL' : `'${value.replaceAll("'", "''")}'`);

export interface OpenCall {
  person?: string | null;
  profile?: string | null;
  /** An array literal. */
  groups?: string | null;
  limit?: number | null;
  grant?: string | null;
  /** An expression. */
  ends?: string;
  method?: string | null;
}

/** `SELECT usher.open(…)`, honest in everything that is not said otherwise. */
export function open(login: string | null, more: OpenCall = {}): string {
  const { person, profile, groups, grant, ends, method } = {
    ...{ person: 'person-mallory', profile: 'read', groups: '{app_read}', grant: 'grant-attack-1' },
    ...{ ends: `clock_timestamp() + interval '10 min'`, method: 'iam' },
    ...more,
  };
  const limit = more.limit === undefined ? 5 : more.limit;
  return `SELECT usher.open(login => ${text(login)}, person => ${text(person)}, profile => ${text(profile)},
    groups => ${text(groups)}, connection_limit => ${limit}, grant_id => ${text(grant)}, ends_at => ${ends}, method => ${text(method)})`;
}

export const setPassword = (login: string, grant: string, secret: string | null = verifier): string =>
  `SELECT usher.set_password(login => ${text(login)}, grant_id => ${text(grant)}, scram_verifier => ${text(secret)})`;

/** A target with a few lives on it, and somebody who has the login of its broker. */
export interface Theft {
  target: GuardTarget;
  thief: pg.Client;
  /** Another session of the thief, over verified TLS like the first. */
  another(): Promise<pg.Client>;
  /** All that decides over access, and all that the guard keeps, as the superuser sees it. */
  state(): Promise<unknown>;
}

/**
 * On the target: `victim` with a live lease that began half an hour ago, `victim_pw` with one of method password, `former`
 * whose lease is closed.
 */
export async function startTheft(major: PostgresMajor): Promise<Theft> {
  const target = await startGuardTarget(major, createAuthority(`theft ${major}`));
  const another = async (): Promise<pg.Client> => target.connect('usher_broker', await target.broker.password());
  const thief = await another();
  const person = 'person-victim';
  await thief.query(open('victim', { person, grant: 'grant-victim-1' }));
  await thief.query(open('victim_pw', { person, grant: 'grant-victim-2', method: 'password' }));
  await thief.query(setPassword('victim_pw', 'grant-victim-2'));
  await thief.query(open('former', { person: 'person-former', grant: 'grant-former-1' }));
  await thief.query(`SELECT usher.close('former', 'grant-former-1')`);
  await target.rdsadmin.query(
    `UPDATE usher.lease SET opened_at = opened_at - interval '30 min' WHERE grant_id = 'grant-victim-1'`,
  );
  return { target, thief, another, state: () => stateOf(target.rdsadmin) };
}

/** Catalogs of the cluster and of the database; what is not named here does not decide over access. */
const catalogs = [
  ...['pg_authid', 'pg_auth_members', 'pg_db_role_setting', 'pg_database', 'pg_namespace', 'pg_extension'],
  ...['pg_event_trigger', 'pg_largeobject_metadata', 'pg_default_acl', 'pg_foreign_server', 'pg_language'],
];

async function stateOf(rdsadmin: pg.Pool): Promise<unknown> {
  const { rows: tables } = await rdsadmin.query<{ name: string }>(
    `SELECT c.oid::regclass::text AS name FROM pg_class c WHERE c.relnamespace = 'usher'::regnamespace AND c.relkind = 'r' ORDER BY 1`,
  );
  // datfrozenxid and its like move by themselves, and schemas for temporary tables stay when those are gone
  const parts = [...catalogs, ...tables.map(({ name }) => name)].map(
    (name) =>
      `SELECT '${name}' AS what, coalesce(jsonb_agg(row ORDER BY row), '[]') AS rows
         FROM (SELECT to_jsonb(t) - '{datfrozenxid,datminmxid}'::text[] AS row FROM ${name} t) AS s
        WHERE coalesce(row->>'nspname', '') !~ '^pg_(toast_)?temp_'`,
  );
  const { rows } = await rdsadmin.query(
    `${parts.join(' UNION ALL ')}
     UNION ALL SELECT 'relations', jsonb_agg(jsonb_build_array(c.relname, c.relowner, c.relacl, c.relkind) ORDER BY c.oid)
       FROM pg_class c WHERE c.relnamespace IN ('usher'::regnamespace, 'public'::regnamespace)
     UNION ALL SELECT 'routines', jsonb_agg(jsonb_build_array(p.oid, p.proowner, p.proacl, p.prosecdef, p.proconfig, md5(p.prosrc)) ORDER BY p.oid)
       FROM pg_proc p WHERE p.pronamespace IN ('usher'::regnamespace, 'public'::regnamespace)`,
  );
  return rows;
}
