import { describe, expect, test } from 'vitest';
import { majors } from '../support/majors.ts';
import { guardStage, inMinutes, lease, refused } from './guard-stage.ts';
import { scramVerifier } from './guard-target.ts';

const weak = (verifier: string): string => verifier.replace('$4096:', '$4095:');

describe.each(majors)('logins by password on PostgreSQL %i', (major) => {
  const stage = guardStage(major);
  const byPassword = (login: string, grantId: string) => lease(login, grantId, { method: 'password' });
  const stored = async (login: string): Promise<unknown> => {
    const { rows } = await stage.target.rdsadmin.query<{ form: unknown }>(
      'SELECT left(rolpassword, 3) AS form FROM pg_authid WHERE rolname = $1',
      [login],
    );
    return rows[0]?.form;
  };
  const get = (login: string, password: string): Promise<unknown> =>
    stage.target.connect(login, password).then((session) => session.end());

  test('have none until it is set, one at a time, until the last lease ends', async () => {
    const wanted = byPassword('paul_pw', 'grant-paul-1');
    await stage.guard.open(wanted);
    expect(await stored('paul_pw')).toBeNull();
    const set = (password: string): Promise<void> =>
      stage.guard.setPassword({ login: 'paul_pw', grantId: 'grant-paul-1', verifier: scramVerifier(password) });
    await set('the-first-of-paul');
    await get('paul_pw', 'the-first-of-paul');
    await set('the-second-of-paul');
    await expect(get('paul_pw', 'the-first-of-paul')).rejects.toMatchObject({ code: '28P01' });
    await get('paul_pw', 'the-second-of-paul');

    const endsAt = inMinutes(50);
    await stage.guard.open({ ...wanted, endsAt });
    await stage.guard.open(byPassword('paul_pw', 'grant-paul-2'));
    expect(await stage.look('paul_pw')).toMatchObject({ validUntil: endsAt, memberships: [{ role: 'app_read' }] });
    await get('paul_pw', 'the-second-of-paul');
    const second = await stage.guard.close({ login: 'paul_pw', grantId: 'grant-paul-1', why: 'test' });
    expect((await stage.look('paul_pw')).validUntil).toEqual(second.endsAt);
    await get('paul_pw', 'the-second-of-paul');
    await stage.guard.close({ login: 'paul_pw', grantId: 'grant-paul-2', why: 'test' });
    expect(await stored('paul_pw')).toBeNull();
    await stage.guard.open(byPassword('paul_pw', 'grant-paul-3'));
    expect(await stored('paul_pw')).toBeNull();
  });

  test('are never carried over: what somebody set while it was closed is taken off at the next opening', async () => {
    await stage.guard.open(byPassword('nora_pw', 'grant-nora-1'));
    await stage.guard.close({ login: 'nora_pw', grantId: 'grant-nora-1', why: 'test' });
    await stage.target.rdsadmin.query(`ALTER ROLE nora_pw PASSWORD 'by-hand'`);
    await stage.guard.open(byPassword('nora_pw', 'grant-nora-2'));
    expect(await stored('nora_pw')).toBeNull();
  });

  test('a login by token has none after any look at it', async () => {
    await stage.guard.open(lease('tina', 'grant-tina-1'));
    await stage.target.rdsadmin.query(`ALTER ROLE tina PASSWORD 'by-hand'`);
    await stage.guard.repair('tina');
    expect(await stored('tina')).toBeNull();
  });

  describe('are set for a live lease by password only', () => {
    const verifier = scramVerifier('whatever-it-is');
    const set = (login: string, grantId: string): Promise<void> =>
      stage.guard.setPassword({ login, grantId, verifier });

    test('not for one by token, a closed one, another’s or none', async () => {
      await stage.guard.open(lease('tom', 'grant-tom-1'));
      await expect(set('tom', 'grant-tom-1')).rejects.toMatchObject(refused('method'));
      await stage.guard.open(byPassword('tom_pw', 'grant-tom-2'));
      await expect(set('tom_pw', 'grant-tom-1')).rejects.toMatchObject(refused('no_such_lease'));
      await stage.guard.close({ login: 'tom_pw', grantId: 'grant-tom-2', why: 'test' });
      await expect(set('tom_pw', 'grant-tom-2')).rejects.toMatchObject(refused('no_such_lease'));
      await expect(set('dba', 'grant-tom-2')).rejects.toMatchObject(refused('not_managed'));
      await expect(set('nobody_pw', 'grant-tom-2')).rejects.toMatchObject(refused('no_such_login'));
    });

    test('not for one whose end has passed, or while the DBA has paused access', async () => {
      await stage.guard.open(byPassword('uma_pw', 'grant-uma-1'));
      await stage.target.asMaster(`UPDATE usher.setting SET value = 'on' WHERE name = 'paused'`);
      await expect(set('uma_pw', 'grant-uma-1')).rejects.toMatchObject(refused('paused'));
      await stage.target.asMaster(`UPDATE usher.setting SET value = 'off' WHERE name = 'paused'`);
      await stage.target.rdsadmin.query(
        `UPDATE usher.lease SET ends_at = clock_timestamp() WHERE grant_id = 'grant-uma-1'`,
      );
      await expect(set('uma_pw', 'grant-uma-1')).rejects.toMatchObject(refused('no_such_lease'));
    });
  });

  describe('come as a verifier', () => {
    const md5 = `md5${'0'.repeat(32)}`;
    const set = (verifier: string): Promise<void> =>
      stage.guard.setPassword({ login: 'vera_pw', grantId: 'grant-vera-1', verifier });

    test.each([
      ['clear text', 'Correct-horse-battery-9'],
      ['nothing', ''],
      ['fewer than 4096 rounds', weak(scramVerifier('x'))],
      ['something after it', `${scramVerifier('x')} `],
      ['md5', md5],
    ])('and as nothing else: %s', async (_, verifier) => {
      await stage.guard.open(byPassword('vera_pw', 'grant-vera-1'));
      await expect(set(verifier)).rejects.toMatchObject(refused('verifier'));
      expect(await stored('vera_pw')).toBeNull();
    });

    test('md5 too where the DBA accepts it', async () => {
      await stage.target.asMaster(`UPDATE usher.setting SET value = 'on' WHERE name = 'accept_md5'`);
      await set(md5);
      expect(await stored('vera_pw')).toBe('md5');
      await expect(set('Correct-horse-battery-9')).rejects.toMatchObject(refused('verifier'));
      await stage.target.asMaster(`UPDATE usher.setting SET value = 'off' WHERE name = 'accept_md5'`);
    });
  });

  test('are told by their name, which says the method for ever', async () => {
    await expect(stage.guard.open(byPassword('wanda', 'grant-wanda-1'))).rejects.toMatchObject(refused('login_name'));
    await expect(stage.guard.open(lease('wanda_pw', 'grant-wanda-2'))).rejects.toMatchObject(refused('login_name'));
  });
});

describe.each(majors)('with rds.restrict_password_commands on PostgreSQL %i', (major) => {
  const stage = guardStage(major, { settings: { 'rds.restrict_password_commands': 'on' } });

  test('the owner of the guard is in rds_password; taken out of it nothing opens, closing goes on, and the DBA is told', async () => {
    await stage.openWithPassword('rosa_pw', 'grant-rosa-1');
    await stage.guard.open(lease('rosa', 'grant-rosa-2'));
    await stage.target.asMaster('REVOKE rds_password FROM usher_owner');
    await expect(stage.guard.open(lease('ruth', 'grant-ruth-1'))).rejects.toMatchObject(refused('rds_password'));
    await expect(
      stage.guard.setPassword({ login: 'rosa_pw', grantId: 'grant-rosa-1', verifier: scramVerifier('x') }),
    ).rejects.toMatchObject(refused('rds_password'));
    expect((await stage.guard.hello()).problems).toContainEqual({
      code: 'passwords_not_settable',
      message: 'rds.restrict_password_commands is on: GRANT rds_password TO usher_owner',
    });
    expect(await stage.guard.close({ login: 'rosa', grantId: 'grant-rosa-2', why: 'test' })).toMatchObject({ live: 0 });
    await stage.target.asMaster('GRANT rds_password TO usher_owner');
    expect(await stage.guard.open(lease('ruth', 'grant-ruth-1'))).toMatchObject({ live: 1 });
  });
});
