import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createAuthority } from '../../local/rds/authority.ts';
import type { Proof } from '../../src/postgres/postgres.contract.ts';
import { PostgresService } from '../../src/postgres/postgres.service.ts';
import { buildCli, fileWith, runCli } from '../support/cli.ts';
import { majors } from '../support/majors.ts';
import { startGuardTarget, type GuardTarget } from './guard-target.ts';
import { losses } from './target-losses.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });
beforeAll(buildCli, 300_000);

/** All that an opening could leave in the catalogs and in the guard's tables. */
const everything = `
  SELECT jsonb_build_object(
    'roles', (SELECT jsonb_agg(to_jsonb(r) ORDER BY r.oid) FROM pg_roles r),
    'memberships', (SELECT jsonb_agg(to_jsonb(m) ORDER BY m.roleid, m.member, m.grantor) FROM pg_auth_members m),
    'dependencies', (SELECT jsonb_agg(to_jsonb(s) ORDER BY s.classid, s.objid, s.refobjid) FROM pg_shdepend s),
    'logins', (SELECT jsonb_agg(to_jsonb(l)) FROM usher.login l), 'leases', (SELECT jsonb_agg(to_jsonb(l)) FROM usher.lease l),
    'opened', (SELECT jsonb_agg(to_jsonb(o)) FROM usher.opened o), 'swept', (SELECT jsonb_agg(to_jsonb(s)) FROM usher.swept s)) AS all`;

describe.each(majors)('target-check on PostgreSQL %i', (major) => {
  const authority = createAuthority(`check ${major}`);
  const ca = fileWith(`check-${major}.pem`, authority.caPem);
  const service = new PostgresService();
  let target: GuardTarget;
  const args = (...more: string[]): string[] => [
    ...['target-check', '--host', '127.0.0.1', '--port', String(target.address.port), '--ca', ca],
    ...['--servername', target.address.servername, ...more],
  ];
  const password = async (): Promise<Record<string, string>> => ({ PGPASSWORD: await target.broker.password() });
  const run = (hand: 'rdsadmin' | 'master', sql: string): Promise<unknown> =>
    hand === 'rdsadmin' ? target.rdsadmin.query(sql) : target.asMaster(sql);

  beforeAll(async () => {
    target = await startGuardTarget(major, authority);
    // the one profile that gives a role of RDS itself, and from 16 on CREATEROLE with it
    await target.asMaster(`SELECT usher.allow_password_manager('managers', 30, 2, $1)`, [major >= 16]);
  });
  afterAll(async () => {
    await service.onApplicationShutdown();
    await target.stop();
  });

  test('says line by line that all is there, and leaves nothing behind', async () => {
    const before = await target.rdsadmin.query(everything);
    const ended = await runCli(args(), await password());
    expect(ended).toMatchObject({ code: 0, err: '' });
    expect((await target.rdsadmin.query(everything)).rows).toEqual(before.rows);

    const lines = ended.out.split('\n');
    expect(lines).toContainEqual(expect.stringMatching(/^ok {7}guard {2,}guard 1\.\d+ on PostgreSQL \d+\.\d+$/));
    expect(lines).toContainEqual(expect.stringMatching(/^ok {7}TLS {2,}TLSv1\.[23], \S+, certificate verified$/));
    for (const right of [
      'open iam read',
      'open password read',
      'open iam token-only',
      'open iam write',
      'open iam managers',
      'survey',
    ])
      expect(lines).toContainEqual(expect.stringMatching(new RegExp(`^ok {7}${right} `)));
    // a word of its own for what works and should be better, and below it what to run
    const warned = lines.findIndex((line) => line.startsWith('warn     leases sweep themselves'));
    expect(lines[warned + 1]).toMatch(/^ {9}\S.*SELECT cron\.schedule\('usher-sweep'/);
    expect(ended.out).toMatch(/\n\d+ ok, \d+ to look at, 0 missing\n$/);
    expect(ended.out).not.toContain(await target.broker.password());
  });

  test('after a sweep by anybody but the broker it says by whom', async () => {
    await target.asMaster('CALL usher.sweep()');
    const { out } = await runCli(args(), await password());
    expect(out).toMatch(/^ok {7}leases sweep themselves {2,}last by dba at \d{4}-/m);
  });

  test.each(losses.filter(({ since = 14, until = 99 }) => since <= major && major <= until))(
    'without $of it says so, and what to run',
    async ({ by, given, lose, right, verdict = 'missing', says, run: mend }) => {
      if (given !== undefined) await target.rdsadmin.query(given);
      await run(by, lose);
      const { code, out } = await runCli(args('--json'), await password());
      const { complete, proofs } = JSON.parse(out) as { complete: boolean; proofs: Proof[] };
      const proof = proofs.find((one) => one.right === right);
      // what stands behind the statement is for the reader
      const statement = (proof?.remedy ?? '').replace(/ {3}--.*/, '');
      await (typeof mend === 'object' ? run(mend.by, mend.instead) : run(mend, statement));
      expect(proof).toMatchObject({
        verdict,
        finding: expect.stringMatching(says),
        remedy: expect.stringMatching(/\S/),
      });
      expect({ code, complete }).toEqual(
        verdict === 'warn' ? { code: 0, complete: true } : { code: 1, complete: false },
      );

      const session = await service.connect(`check ${major}`, target.address, target.broker);
      const mended = await session.prove();
      expect(mended.filter((one) => one.verdict === 'missing')).toEqual([]);
      expect([undefined, 'ok']).toContain(mended.find((one) => one.right === right)?.verdict);
    },
  );

  test('a name to try with can be given where the DBA accepts only some', async () => {
    await target.asMaster(`UPDATE usher.setting SET value = '^u_[a-z0-9_]+$' WHERE name = 'login_pattern'`);
    try {
      expect((await runCli(args('--probe', 'u_probe'), await password())).code).toBe(0);
    } finally {
      await target.asMaster(`UPDATE usher.setting SET value = '^[a-z_][a-z0-9_]{0,62}$' WHERE name = 'login_pattern'`);
    }
  });
});
