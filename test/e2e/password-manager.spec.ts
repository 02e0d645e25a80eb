import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { standInMajors } from '../support/majors.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { randomPassword, scramVerifier } from '../../src/postgres/postgres.contract.js';
import { asAdmin, asMaster, holdings, nothing } from './holdings.ts';
import { addProfile } from './profiles.ts';
import {
  closed,
  grantOf,
  known,
  logIn,
  mint,
  person,
  requestBody,
  revoke,
  setStage,
  whoAmI,
  type Person,
  type Stage,
} from './stage.ts';

let usher: Usher;
let stage: Stage;

const manager = {
  ...{ name: 'passwords', groups: ['rds_password'], maxMinutes: 60, approvalsNeeded: 1, readOnly: false },
  ...{ connectionLimit: 2, managesPasswords: true, createsRoles: true },
};

beforeAll(async () => {
  usher = await startUsher();
  stage = await setStage(usher);
  await addProfile(
    stage,
    'orders',
    // before 16 CREATEROLE is nearly everything, and the DBA has to say that it is meant
    `SELECT usher.allow_password_manager('passwords', 60, creates_roles => true, accept_risk => ${standInMajors.orders < 16})`,
    manager,
  );
});
afterAll(() => usher?.close());

interface Asked {
  id: string;
  state: string;
  grantId: string | null;
  approvalsNeeded: number;
}
const ask = { target: 'orders', profile: 'passwords' } as const;
const asks = (who: Person) => who.post<Asked>('/v1/requests', requestBody(stage, ask));
const owner = (name: string): Person => person(stage, name, ['orders-owners']);

/** Asked for, agreed to by two owners, and open. */
async function managing(who: Person) {
  const { body } = await asks(who);
  for (const name of ['one', 'two']) await owner(name).post(`/v1/requests/${body.id}/approve`, {});
  const { body: approved } = await who.get<Asked>(`/v1/requests/${body.id}`);
  return grantOf(who, approved.grantId ?? 'none', 'active');
}

async function attributes(login: string) {
  const { rows } = await asAdmin(stage.standIn, 'orders', (admin) =>
    admin.query<{ createrole: boolean; manages: boolean }>(
      `SELECT rolcreaterole AS createrole, pg_has_role(oid, 'rds_password', 'MEMBER') AS manages FROM pg_roles WHERE rolname = $1`,
      [login],
    ),
  );
  return rows[0];
}

describe('who may manage passwords', () => {
  test.each<[string, string[]]>([
    ['an engineer', ['engineers']],
    ['an owner of the database', ['orders-owners', 'engineers']],
    ['an administrator', ['admins']],
  ])('is not %s', async (_, groups) => {
    const { body } = await asks(person(stage, 'anybody', groups));
    expect(body).toMatchObject({
      ...{ status: 403, code: 'policy_denied' },
      advice: expect.stringContaining('password-managers') as string,
    });
  });

  test('is decided by two people, whatever the profile asks for', async () => {
    const pia = person(stage, 'pia', ['password-managers', 'orders-owners']);
    const { body } = await asks(pia);
    expect(body).toMatchObject({ state: 'pending', grantId: null, approvalsNeeded: 2 });
    const one = await owner('one').post<Asked>(`/v1/requests/${body.id}/approve`, {});
    expect(one.body).toMatchObject({ state: 'pending', grantId: null });
    expect((await pia.post(`/v1/requests/${body.id}/approve`, {})).body).toMatchObject({ code: 'own_request' });
    expect((await pia.post(`/v1/requests/${body.id}/cancel`)).status).toBe(200);
  });
});

describe('managing passwords', () => {
  test('sets those of others while the grant lives, and leaves neither right behind', async () => {
    const rosa = person(stage, 'rosa', ['password-managers']);
    const grant = await managing(rosa);
    expect(await attributes(grant.login)).toEqual({ createrole: true, manages: true });
    const service = `svc_${grant.login}`;
    const [first, second, third] = [randomPassword(), randomPassword(), randomPassword()];
    const session = await logIn(stage, await mint(rosa, grant.id));
    await session.query(`CREATE ROLE ${service} LOGIN PASSWORD '${await scramVerifier(first)}'`);
    await session.query(`ALTER ROLE ${service} PASSWORD '${await scramVerifier(second)}'`);
    const { host, port, database } = await mint(rosa, grant.id);
    const as = (token: string) => whoAmI(stage, { host, port, database, user: service, token });
    await expect(as(first.reveal())).rejects.toThrow(/password authentication failed/);
    expect(await as(second.reveal())).toBe(service);

    // what it does not reach from 16 on: the DBA, Usher's own, other people, rds_superuser; before, nothing keeps it from them
    const fenced = standInMajors.orders >= 16;
    for (const role of !fenced
      ? ['rdsadmin']
      : [stage.standIn.targets.orders.master.user, 'usher_broker', 'usher_owner', 'rdsadmin'])
      await expect(session.query(`ALTER ROLE "${role}" PASSWORD '${await scramVerifier(third)}'`)).rejects.toThrow(
        /permission denied|must be|only roles with/i,
      );
    const richer = session.query(`GRANT rds_superuser TO ${service}`).then(
      () => 'given',
      (error: unknown) => String(error),
    );
    expect(await richer).toMatch(fenced ? /permission denied|must have/ : /^given$/);

    await revoke(rosa, grant.id);
    await closed(rosa, grant.id);
    await expect(session.query(`ALTER ROLE ${service} PASSWORD NULL`)).rejects.toThrow();
    expect(await attributes(grant.login)).toEqual({ createrole: false, manages: false });
    expect(await holdings(stage, 'orders', grant.login)).toMatchObject({ canLogin: false, sessions: 0, leases: [] });
    expect(await as(second.reveal())).toBe(service); // what was set stays: it is somebody else's
    await asAdmin(stage.standIn, 'orders', (admin) => admin.query(`DROP ROLE ${service}`));
    expect(await holdings(stage, 'orders', grant.login)).toEqual(nothing);
  });

  test('is not had without the act of the DBA that allows it, nor is CREATEROLE', async () => {
    const dave = await known(stage, 'dave');
    const create = (profile: object) => dave.post(`/v1/targets/${stage.targets.orders.id}/profiles`, profile);
    await asMaster(stage.standIn, 'orders', 'postgres', async (master) => {
      await expect(master.query(`SELECT usher.allow('slip', '{rds_password}', 60)`)).rejects.toThrow(
        /may not be given/,
      );
      await master.query(`SELECT usher.allow_password_manager('passwords-only', 60)`);
    });
    const slip = await create({ ...manager, name: 'slip' });
    expect(slip.body).toMatchObject({
      ...{ status: 422, code: 'profile_not_allowed' },
      advice: expect.stringContaining('usher.allow_password_manager(') as string,
    });
    const only = await create({ ...manager, name: 'passwords-only' });
    expect(only.body).toMatchObject({
      ...{ status: 422, code: 'profile_not_allowed' },
      detail: expect.stringContaining('it may not give CREATEROLE there') as string,
    });
    expect((await create({ ...manager, name: 'passwords-only', createsRoles: false })).status).toBe(201);
  });

  test.each<[string, object, string]>([
    ['without approval', { approvalsNeeded: 0 }, 'approvalsNeeded'],
    ['with another group', { groups: ['orders_read'] }, 'groups'],
    ['as read-only', { readOnly: true }, 'readOnly'],
    ['that is none, with CREATEROLE', { managesPasswords: false }, 'createsRoles'],
  ])('is not registered %s', async (_, change, field) => {
    const dave = await known(stage, 'dave');
    const path = `/v1/targets/${stage.targets.orders.id}/profiles`;
    const created = await dave.post(path, { ...manager, name: 'unfit', ...change });
    expect(created.body).toMatchObject({ status: 400, code: 'invalid_input', fields: [{ field }] });
    const changed = await dave.patch(`${path}/${stage.targets.orders.profiles['passwords'] ?? ''}`, change);
    expect(changed.body).toMatchObject({ status: 400, code: 'invalid_input', fields: [{ field }] });
  });
});
