import { describe, expect, test } from 'vitest';
import { majors } from '../support/majors.ts';
import { guardStage } from './guard-stage.ts';

describe.each(majors)('what any login may read of PostgreSQL %i', (major) => {
  const stage = guardStage(major, {
    settings: { 'rds.force_ssl': '1', max_connections: '40', log_connections: 'on' },
  });

  test('its settings, null for those it does not have', async () => {
    const { settings, iamRoleExists, inRecovery, cronHere, clock } = await stage.guard.facts();
    expect(settings).toMatchObject({
      'rds.force_ssl': '1',
      'rds.restrict_password_commands': null,
      password_encryption: 'scram-sha-256',
      log_disconnections: 'off',
      ssl: 'on',
      max_connections: '40',
      superuser_reserved_connections: '3',
      reserved_connections: major < 16 ? null : '0',
    });
    expect(settings.log_connections).not.toBe('off');
    expect(Math.floor(Number(settings.server_version_num) / 10_000)).toBe(major);
    expect(settings.TimeZone).toEqual(expect.any(String));
    expect({ iamRoleExists, inRecovery, cronHere }).toEqual({
      iamRoleExists: true,
      inRecovery: false,
      cronHere: false,
    });
    expect(clock).toBeInstanceOf(Date);
  });

  test('who reaches rds_iam by any way, one that gives only ADMIN too; the superuser does not for being one', async () => {
    const { rdsadmin } = stage.target;
    await rdsadmin.query(
      'CREATE ROLE on_the_way NOLOGIN; CREATE ROLE far LOGIN; CREATE ROLE near LOGIN; CREATE ROLE apart LOGIN',
    );
    await rdsadmin.query('GRANT rds_iam TO on_the_way; GRANT on_the_way TO far');
    await rdsadmin.query(
      `GRANT rds_iam TO near WITH ADMIN OPTION${major < 16 ? '' : '; GRANT rds_iam TO near WITH INHERIT FALSE, SET FALSE'}`,
    );
    const { roles } = await stage.guard.facts({ roles: ['far', 'near', 'apart', 'rdsadmin', 'dba', 'no_such_role'] });
    expect(roles).toEqual([
      { role: 'far', exists: true, iamPath: ['far', 'on_the_way', 'rds_iam'] },
      { role: 'near', exists: true, iamPath: ['near', 'rds_iam'] },
      { role: 'apart', exists: true, iamPath: null },
      { role: 'rdsadmin', exists: true, iamPath: null },
      { role: 'dba', exists: true, iamPath: null },
      { role: 'no_such_role', exists: false, iamPath: null },
    ]);
  });

  test('which databases there are, and whom they let in', async () => {
    const { rdsadmin } = stage.target;
    await rdsadmin.query('CREATE DATABASE closed');
    await rdsadmin.query(
      'REVOKE CONNECT ON DATABASE closed FROM PUBLIC; CREATE ROLE outsider LOGIN; CREATE ROLE insider LOGIN',
    );
    await rdsadmin.query('GRANT CONNECT ON DATABASE closed TO insider');
    const asked = { roles: ['outsider', 'insider'], databases: ['closed', 'nowhere'] };
    expect((await stage.guard.facts(asked)).databases).toEqual([
      { name: 'closed', exists: true, admits: ['insider'] },
      { name: 'nowhere', exists: false, admits: [] },
    ]);
  });

  test('how many sessions of clients there are', async () => {
    const before = (await stage.guard.facts()).connections;
    const { user, password } = stage.target.master;
    const session = await stage.target.connect(user, await password());
    expect((await stage.guard.facts()).connections).toBe(before + 1);
    await session.end();
  });

  test('a login that may read nothing else may read it', async () => {
    const { rdsadmin, connect } = stage.target;
    await rdsadmin.query(`CREATE ROLE anybody LOGIN PASSWORD 'of-a-test'`);
    const session = await connect('anybody', 'of-a-test');
    const { factsStatement, serverSettings } = await import('../../src/postgres/server-facts.ts');
    const { rows } = await session.query(factsStatement, [[...serverSettings], ['anybody'], []]);
    expect(rows[0].outcome.settings).toMatchObject({ ssl: 'on', shared_preload_libraries: null });
    expect(rows[0].outcome.connections).toBeGreaterThan(0);
    await session.end();
  });
});
