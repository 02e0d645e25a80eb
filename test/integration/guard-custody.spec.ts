import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createAuthority } from '../../local/rds/authority.ts';
import type { LoginMethod, TargetSession } from '../../src/postgres/postgres.contract.ts';
import { PostgresService } from '../../src/postgres/postgres.service.ts';
import { buildCli, fileWith, runCli, startCli, type Ended } from '../support/cli.ts';
import { majors } from '../support/majors.ts';
import { until } from '../support/until.ts';
import { scramVerifier, startGuardTarget, type GuardTarget } from './guard-target.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });
beforeAll(buildCli, 300_000);

type Asked = Pick<pg.Client, 'query'>;

describe.each(majors)('what people leave behind on PostgreSQL %i', (major) => {
  const authority = createAuthority(`custody ${major}`);
  const ca = fileWith(`custody-${major}.pem`, authority.caPem);
  const service = new PostgresService();
  let target: GuardTarget;
  let guard: TargetSession;
  /** As a superuser, which on RDS is AWS alone: in the second database, and in whichever is asked for. */
  let app: pg.Client;
  const secret = randomUUID();
  const inside = (database: string): Promise<pg.Client> => target.connect('looker', secret, { database });
  let made = 0;

  beforeAll(async () => {
    target = await startGuardTarget(major, authority);
    guard = await service.connect(`custody-${major}`, target.address, target.broker);
    await target.asMaster('CREATE DATABASE app');
    await target.asMaster('GRANT CREATE ON DATABASE app TO app_read; GRANT CREATE ON DATABASE postgres TO app_read');
    const verifier = scramVerifier(secret);
    await target.rdsadmin.query(`CREATE ROLE looker LOGIN SUPERUSER PASSWORD '${verifier}'`);
    app = await inside('app');
  });
  afterAll(async () => {
    await service.onApplicationShutdown();
    await target.stop();
  });

  const retire = async (login: string, ...more: string[]): Promise<Ended> => {
    const { running } = await starting(login, ...more);
    return running.ended;
  };
  const starting = async (login: string, ...more: string[]) => {
    const args = ['target-retire', login, '--host', '127.0.0.1', '--port', String(target.address.port), '--ca', ca];
    const name = ['--servername', target.address.servername, '--user', target.master.user];
    return { running: await startCli([...args, ...name, ...more], { PGPASSWORD: await target.master.password() }) };
  };
  const one = async <T extends pg.QueryResultRow>(
    pool: Asked,
    sql: string,
    values?: unknown[],
  ): Promise<T | undefined> => (await pool.query<T>(sql, values)).rows[0];

  /** A login that was opened and closed, as a person who went would have left it. */
  async function gone(name: string, method: LoginMethod = 'iam'): Promise<string> {
    const login = `${name}${++made}`;
    const grantId = `grant-${login}-1`;
    const endsAt = new Date(Date.now() + 600_000);
    const plan = { profile: 'read', groups: ['app_read'], connectionLimit: 5 };
    await guard.open({ login, person: `person-${login}`, ...plan, grantId, endsAt, method });
    await guard.close({ login, grantId, why: 'test' });
    return login;
  }

  /** One of each kind, in a database of its own choice, made with the person's own name on it. */
  async function leave(pool: Asked, login: string): Promise<void> {
    await pool.query(`
      CREATE SCHEMA ${login}_own AUTHORIZATION ${login};
      SET ROLE ${login};
      CREATE TABLE ${login}_own.notes (id int PRIMARY KEY, text text);
      INSERT INTO ${login}_own.notes VALUES (1, 'kept');
      CREATE SEQUENCE ${login}_own.numbers;
      CREATE VIEW ${login}_own.seen AS SELECT * FROM ${login}_own.notes;
      CREATE TYPE ${login}_own.mood AS ENUM ('good');
      CREATE FUNCTION ${login}_own.who() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT current_user::text';
      GRANT USAGE ON SCHEMA ${login}_own TO PUBLIC;
      SELECT lo_from_bytea(0, 'kept');
      ALTER DEFAULT PRIVILEGES IN SCHEMA ${login}_own GRANT SELECT ON TABLES TO app_read;
      RESET ROLE;
      CREATE TABLE public.${login}_given (id int); ALTER TABLE public.${login}_given OWNER TO dba;
      GRANT SELECT ON public.${login}_given TO ${login};`);
  }

  /** With a foreign server, which needs a wrapper that only AWS can make. */
  async function leaveMapping(pool: Asked, login: string): Promise<void> {
    await pool.query(`
      CREATE FOREIGN DATA WRAPPER ${login}_fdw; CREATE SERVER ${login}_elsewhere FOREIGN DATA WRAPPER ${login}_fdw;
      CREATE USER MAPPING FOR ${login} SERVER ${login}_elsewhere OPTIONS (user 'me', password 'own-secret');`);
  }

  const custody = async (pool: Asked, login: string) =>
    one(
      pool,
      `SELECT pg_get_userbyid((SELECT nspowner FROM pg_namespace WHERE nspname = $1 || '_own')) AS schema,
        (SELECT array_agg(DISTINCT pg_get_userbyid(relowner)::text) FROM pg_class WHERE relnamespace = ($1 || '_own')::regnamespace) AS relations,
        pg_get_userbyid((SELECT proowner FROM pg_proc WHERE oid = ($1 || '_own.who()')::regprocedure)) AS function,
        (SELECT pg_get_userbyid(typowner) FROM pg_type WHERE oid = ($1 || '_own.mood')::regtype) AS type,
        (SELECT count(*)::int FROM pg_largeobject_metadata WHERE lomowner = 'usher_parked'::regrole) > 0 AS large,
        (SELECT count(*)::int FROM pg_default_acl d JOIN pg_roles r ON r.oid = d.defaclrole WHERE r.rolname = $1) AS defaults,
        (SELECT count(*)::int FROM pg_user_mappings WHERE usename = $1) AS mappings`,
      [login],
    );
  const parked = {
    ...{ schema: 'usher_parked', relations: ['usher_parked'], function: 'usher_parked', type: 'usher_parked' },
    ...{ large: true, defaults: 0, mappings: 0 },
  };
  const members = async (): Promise<string[]> =>
    (
      await target.rdsadmin.query<{ name: string }>(
        `SELECT DISTINCT pg_get_userbyid(member)::text AS name FROM pg_auth_members WHERE roleid = 'usher_parked'::regrole`,
      )
    ).rows.map(({ name }) => name);
  const borrowers = async (login: string): Promise<string[]> =>
    (
      await target.rdsadmin.query<{ name: string }>(
        `SELECT pg_get_userbyid(m.member)::text AS name FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
          WHERE r.rolname = $1 AND pg_get_userbyid(m.member) <> 'usher_owner'`,
        [login],
      )
    ).rows.map(({ name }) => name);

  test('closing leaves all of it; retiring parks it in both databases, and nobody can use what is parked', async () => {
    const login = await gone('ada');
    for (const pool of [target.rdsadmin, app]) await leave(pool, login);
    await leaveMapping(app, login);

    const ahead = await retire(login, '--dry-run');
    expect(ahead).toMatchObject({ code: 0, err: '' });
    expect(ahead.out).toMatch(/^app\n {2}would park .*function \w+_own\.who\(\)/m);
    expect((await custody(app, login))?.['schema']).toBe(login);

    const done = await retire(login);
    expect(done).toMatchObject({ code: 0, err: '' });
    expect(done.out).toMatch(new RegExp(`^app\\n {2}parked .*table ${login}_own.notes`, 'm'));
    expect(done.out).toMatch(/ {2}ended .*default privileges.*user mapping/s);
    expect(done.out).toContain(`SELECT usher.drop('${login}');`);
    for (const pool of [target.rdsadmin, app]) {
      expect(await custody(pool, login)).toEqual(parked);
      // kept, not emptied; and planted code runs with the rights of nobody
      expect(await one(pool, `SELECT text FROM ${login}_own.notes`)).toEqual({ text: 'kept' });
      expect(await one(pool, `SELECT ${login}_own.who() AS who`)).toEqual({ who: 'usher_parked' });
    }
    expect(await members()).toEqual(['usher_owner']);
    expect(await borrowers(login)).toEqual([]);
  });

  test('the name stays taken, before and after the role is dropped, and the broker may still ask what is owned', async () => {
    const login = await gone('bea');
    expect((await retire(login)).code).toBe(0);
    const again = (person: string) =>
      guard.open({
        ...{ login, person, profile: 'read', groups: ['app_read'], connectionLimit: 5, method: 'iam' as const },
        ...{ grantId: `grant-${login}-${++made}`, endsAt: new Date(Date.now() + 600_000) },
      });
    await expect(again(`person-${login}`)).rejects.toMatchObject({ cause: { reason: 'retired' } });
    const broker = await target.connect(target.broker.user, await target.broker.password());
    expect((await broker.query('SELECT * FROM usher.owned($1)', [login])).rows).toEqual([]);
    await target.asMaster('SELECT usher.drop($1)', [login]);
    await expect(again('person-else')).rejects.toMatchObject({ cause: { reason: 'person' } });
    await expect(again(`person-${login}`)).rejects.toMatchObject({ cause: { reason: 'retired' } });
    expect(
      await target.asMaster('SELECT name, dropped_at IS NOT NULL AS dropped FROM usher.login WHERE name = $1', [login]),
    ).toEqual([{ name: login, dropped: true }]);
  });

  test('what cannot be parked stays where it is, and is told with the statement that mends it', async () => {
    const login = await gone('cleo');
    await app.query(`
      CREATE SCHEMA ${login}_shared; GRANT USAGE, CREATE ON SCHEMA ${login}_shared TO ${login}; SET ROLE ${login};
      CREATE FUNCTION ${login}_shared.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TABLE ${login}_shared.t (); RESET ROLE;
      ALTER SCHEMA ${login}_shared OWNER TO dba`);
    const owner = `SELECT pg_get_userbyid(proowner) AS owner FROM pg_proc WHERE oid = '${login}_shared.f()'::regprocedure`;
    const mend = `GRANT CREATE ON SCHEMA ${login}_shared TO usher_parked;`;

    expect((await retire(login, '--dry-run')).out).toContain(`run there   ${mend}`);
    const blocked = await retire(login);
    expect(blocked.code).toBe(1);
    expect(blocked.out).toMatch(new RegExp(`^app\\n {2}LEFT .*function ${login}_shared.f\\(\\)`, 'm'));
    expect(blocked.out).toContain(`because     permission denied for schema ${login}_shared`);
    expect(blocked.out).toContain(`run there   ${mend}`);
    expect(await one(app, owner)).toEqual({ owner: login });
    expect([await members(), await borrowers(login)]).toEqual([['usher_owner'], []]);

    await app.query(mend);
    const done = await retire(login);
    expect(done.code).toBe(0);
    expect(await one(app, owner)).toEqual({ owner: 'usher_parked' });
    expect(done.out).toContain(`take back   REVOKE CREATE ON SCHEMA ${login}_shared FROM usher_parked;`);
  });

  test('a right that only the owner of an object can take back is told with the statement for the owner', async () => {
    const login = await gone('dina');
    await app.query(`CREATE TABLE public."Odd ${login}" (); GRANT SELECT ON public."Odd ${login}" TO ${login}`);
    const kept = await retire(login);
    expect(kept.code).toBe(1);
    expect(kept.out).toContain(`LEFT        rights on table "Odd ${login}"`);
    const [revoke] = /REVOKE ALL ON TABLE public\."Odd \w+" FROM \w+;/.exec(kept.out) ?? [''];
    await app.query(revoke);
    expect((await retire(login)).code).toBe(0);
  });

  test('a database that lets nobody in is told, and what is there stays', async () => {
    const login = await gone('dora');
    await target.rdsadmin.query('CREATE DATABASE shut');
    const shut = await inside('shut');
    await shut.query(`CREATE TABLE left_there (); ALTER TABLE left_there OWNER TO ${login}`);
    await shut.end();
    await target.rdsadmin.query('REVOKE CONNECT ON DATABASE shut FROM PUBLIC');
    const kept = await retire(login);
    expect(kept.code).toBe(1);
    expect(kept.out).toMatch(
      /^shut\n {2}LEFT .*\n {2}because .*permission denied for database "?shut"?\n {2}run there {3}GRANT CONNECT ON DATABASE "?shut"? TO "?dba"?;/m,
    );
    await target.rdsadmin.query('ALTER DATABASE shut ALLOW_CONNECTIONS false');
    expect((await retire(login)).out).toMatch(
      /because {5}the database takes no connections\n {2}run there {3}ALTER DATABASE "?shut"? ALLOW_CONNECTIONS true;/,
    );
    await target.rdsadmin.query('DROP DATABASE shut');
    expect((await retire(login)).code).toBe(0);
  });

  test('nothing is touched while somebody can still act as the login', async () => {
    const login = await gone('emma');
    await target.rdsadmin.query(`CREATE TABLE ${login}_t (); ALTER TABLE ${login}_t OWNER TO ${login}`);
    const endsAt = new Date(Date.now() + 600_000);
    const lease = { login, person: `person-${login}`, profile: 'read', groups: ['app_read'], connectionLimit: 5 };
    await guard.open({ ...lease, grantId: `grant-${login}-2`, endsAt, method: 'iam' });
    const live = await retire(login);
    expect(live.code).toBe(1);
    expect(live.out).toContain('it has a live lease');
    await guard.close({ login, grantId: `grant-${login}-2`, why: 'test' });

    await target.rdsadmin.query(`ALTER ROLE ${login} LOGIN`);
    expect((await retire(login)).out).toContain('can log in without a lease: CALL usher.sweep() first');
    await target.asMaster('CALL usher.sweep()');
    await target.rdsadmin.query(`GRANT ${login} TO app_rich`);
    const member = await retire(login);
    // before 16 the guard may take away whatever anybody granted, and does
    if (major >= 16) expect(member.out).toContain(`app_rich is a member of it: REVOKE ${login} FROM app_rich`);
    await target.rdsadmin.query(`REVOKE ${login} FROM app_rich`);
    expect(
      await one(target.rdsadmin, `SELECT tableowner AS owner FROM pg_tables WHERE tablename = '${login}_t'`),
    ).toEqual({
      owner: major >= 16 ? login : 'usher_parked',
    });
    expect((await retire(login)).code).toBe(0);
  });

  test('a login that somebody else put into rds_iam is not lent: the DBA would lose the password login', async () => {
    const login = await gone('fay');
    await app.query(`CREATE TABLE ${login}_t (); ALTER TABLE ${login}_t OWNER TO ${login}`);
    await target.asMaster('SELECT FROM usher.retire($1)', [login]);
    await target.rdsadmin.query(`GRANT rds_iam TO ${login}`);
    const refused = await retire(login);
    if (major >= 16) {
      expect(refused.code).toBe(1);
      expect(refused.out).toContain(`REVOKE rds_iam FROM ${login}`);
      await target.rdsadmin.query(`REVOKE rds_iam FROM ${login}`);
      expect((await retire(login)).code).toBe(0);
    } else expect(refused.code).toBe(0); // before 16 the guard takes it away by itself
  });

  test('cut short it gives the loan back, and running it again finishes', async () => {
    const login = await gone('gwen');
    for (const pool of [target.rdsadmin, app]) await leave(pool, login);
    const holder = await inside('app');
    await holder.query(`BEGIN; LOCK TABLE ${login}_own.notes`);
    const { running } = await starting(login);
    await until(
      'it waits for the table, with the loan',
      async () => (await borrowers(login)).includes('dba') && (await waits()),
    );
    running.kill('SIGINT');
    const cut = await running.ended;
    expect(cut.code).toBe(1);
    expect(cut.out).toContain('because     canceling statement due to user request');
    expect(cut.out).toContain('Cut short; run it again to finish.');
    expect([await members(), await borrowers(login)]).toEqual([['usher_owner'], []]);
    await holder.query('ROLLBACK');
    expect((await custody(app, login))?.['schema']).toBe(login);

    expect((await retire(login)).code).toBe(0);
    expect(await custody(app, login)).toEqual(parked);
  });

  test('killed, it leaves a loan that target-check names, and running it again finishes', async () => {
    const login = await gone('hope');
    await app.query(`CREATE TABLE ${login}_t (); ALTER TABLE ${login}_t OWNER TO ${login}`);
    const holder = await inside('app');
    await holder.query(`BEGIN; LOCK TABLE ${login}_t`);
    const { running } = await starting(login);
    await until('it waits for the table', waits);
    running.kill('SIGKILL');
    await running.ended;
    await holder.query('ROLLBACK');
    expect(await guard.prove()).toContainEqual(
      expect.objectContaining({ right: 'usher_parked is powerless', verdict: 'missing' }),
    );
    expect((await retire(login)).code).toBe(0);
    expect([await members(), await borrowers(login)]).toEqual([['usher_owner'], []]);
  });

  const waits = async (): Promise<boolean> =>
    (await one(
      target.rdsadmin,
      `SELECT 1 AS yes FROM pg_stat_activity WHERE application_name = 'usher target-retire' AND wait_event_type = 'Lock'`,
    )) !== undefined;

  test('the DBA is told of a wrong password, a wrong user and an unknown login', async () => {
    const args = [
      'target-retire',
      'nobody_here',
      '--host',
      '127.0.0.1',
      '--port',
      String(target.address.port),
      '--ca',
      ca,
    ];
    const at = [...args, '--servername', target.address.servername, '--user'];
    const file = fileWith('password', 'not-the-password\n');
    const wrong = await runCli([...at, 'dba', '--password-file', file]);
    expect(wrong).toMatchObject({ code: 1, out: '' });
    expect(wrong.err).toMatch(/refused the login of the DBA\.\nCheck --user and PGPASSWORD/);
    const broker = await runCli([...at, 'usher_broker'], { PGPASSWORD: await target.broker.password() });
    expect(broker.err).toContain('Run it as the user who installed the guard');
    const unknown = await retire('nobody_here');
    expect(unknown.code).toBe(1);
    expect(unknown.out + unknown.err).toMatch(/no login 'nobody_here'/);
  });
});
