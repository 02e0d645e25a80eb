import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { standInMajors } from '../support/majors.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { asMaster, holdings, nothing } from './holdings.ts';
import {
  closed,
  logIn,
  mint,
  opened,
  person,
  revoke,
  setStage,
  whoAmI,
  type Ask,
  type Person,
  type Stage,
} from './stage.ts';

let usher: Usher;
let stage: Stage;

beforeAll(async () => {
  usher = await startUsher();
  stage = await setStage(usher);
  stage.targets.billing.profiles['invoices-write'] = await addWritingProfile();
});
afterAll(() => usher?.close());

/** billing has one profile; its DBA allows another, and dave registers it. Safe to repeat on a stand-in that others used before. */
async function addWritingProfile(): Promise<string> {
  const { standIn, targets } = stage;
  await asMaster(standIn, 'billing', 'billing', async (master) => {
    const { rowCount } = await master.query(`SELECT 1 FROM pg_roles WHERE rolname = 'billing_write'`);
    if (rowCount === 0) await master.query('CREATE ROLE billing_write NOLOGIN');
    await master.query('GRANT SELECT, INSERT, UPDATE ON invoices TO billing_write');
  });
  await asMaster(standIn, 'billing', 'postgres', (master) =>
    master.query(`SELECT usher.allow('invoices-write', '{billing_write}', 60, 5)`),
  );
  const dave = usher.withToken(await standIn.oidc.tokenFor('dave', {}));
  const profile = {
    name: 'invoices-write',
    groups: ['billing_write'],
    maxMinutes: 60,
    approvalsNeeded: 0,
    readOnly: false,
    connectionLimit: 5,
  };
  const { status, body } = await dave.post<{ id: string }>(`/v1/targets/${targets.billing.id}/profiles`, profile);
  expect([status, body]).toEqual([201, expect.anything()]);
  return body.id;
}

/** Owners of both targets may ask for every profile. */
const owner = (name: string): Person => person(stage, name, ['engineers', 'orders-owners', 'billing-owners']);

interface Case {
  target: 'orders' | 'billing';
  first: Omit<Ask, 'target'>;
  second: Omit<Ask, 'target'>;
  /** What the second gives, and the first alone. */
  kept: string[];
  lost: string[];
  /** The session of before the first end is still there. */
  survives: boolean;
}

const on = (target: Case['target']): string => `on PostgreSQL ${standInMajors[target]}`;
/** Up to 15 a session that did SET ROLE keeps the group after the REVOKE, so sessions are ended at each loss. */
const survivesOn = (target: Case['target']): boolean => standInMajors[target] >= 16;

const cases: Record<string, Case> = {
  [`orders: the same profile twice ${on('orders')}`]: {
    target: 'orders',
    first: {},
    second: {},
    kept: ['orders_read'],
    lost: [],
    survives: survivesOn('orders'),
  },
  [`orders: two profiles ${on('orders')}`]: {
    ...{ target: 'orders', first: { profile: 'orders-write' }, second: { profile: 'reporting-read' } },
    ...{ kept: ['orders_read'], lost: ['orders_write'], survives: survivesOn('orders') },
  },
  [`billing: the same profile twice ${on('billing')}`]: {
    target: 'billing',
    first: {},
    second: {},
    kept: ['billing_read'],
    lost: [],
    survives: survivesOn('billing'),
  },
  [`billing: two profiles ${on('billing')}`]: {
    ...{ target: 'billing', first: { profile: 'invoices-write' }, second: { profile: 'invoices-read' } },
    ...{ kept: ['billing_read'], lost: ['billing_write'], survives: survivesOn('billing') },
  },
};

const reading = {
  orders: 'SELECT count(*)::int AS rows FROM shop.orders',
  billing: 'SELECT count(*)::int AS rows FROM invoices',
};
const writing = {
  orders: `UPDATE shop.orders SET status = 'paid' WHERE id = 1`,
  billing: 'UPDATE invoices SET paid = true WHERE number = $$none$$',
};
const rows = { orders: 600, billing: 300 };

describe.each(Object.entries(cases))('%s', (name, { target, first, second, kept, lost, survives }) => {
  test('the first end takes only what the second does not give; the second leaves nothing', async () => {
    const who = owner(`owner${Object.keys(cases).indexOf(name)}`);
    const one = await opened(stage, who, { target, ...first });
    const two = await opened(stage, who, { target, ...second });
    const all = [...kept, ...lost, 'rds_iam'].sort();
    const ids = [one.id, two.id].sort();
    expect(await holdings(stage, target, one.login)).toEqual({
      canLogin: true,
      memberships: all,
      sessions: 0,
      leases: ids,
    });
    const before = await logIn(stage, await mint(who, one.id));

    await revoke(who, one.id);
    await closed(who, one.id);
    const left = await holdings(stage, target, one.login);
    expect(left).toEqual({
      canLogin: true,
      memberships: [...kept, 'rds_iam'].sort(),
      sessions: survives ? 1 : 0,
      leases: [two.id],
    });
    if (survives) expect((await before.query(reading[target])).rows).toEqual([{ rows: rows[target] }]);
    else await expect(before.query('SELECT 1')).rejects.toThrow();
    if (survives && lost.length > 0) await expect(before.query(writing[target])).rejects.toThrow('permission denied');
    await before.end();

    const again = await mint(who, two.id);
    expect(await whoAmI(stage, again)).toBe(one.login);
    const after = await logIn(stage, again);
    expect((await after.query(reading[target])).rows).toEqual([{ rows: rows[target] }]);

    await revoke(who, two.id);
    await closed(who, two.id);
    expect(await holdings(stage, target, one.login)).toEqual(nothing);
    await expect(after.query('SELECT 1')).rejects.toThrow();
    await expect(whoAmI(stage, again)).rejects.toThrow(/authentication failed|not permitted/);
  });
});

test('a grant that is opened while another of the same person is closed works', async () => {
  const who = owner('juggler');
  let last = await opened(stage, who, { target: 'billing' });
  for (let round = 0; round < 4; round++) {
    const [, next] = await Promise.all([revoke(who, last.id), opened(stage, who, { target: 'billing' })]);
    await closed(who, last.id);
    expect(await holdings(stage, 'billing', next.login)).toMatchObject({
      canLogin: true,
      memberships: ['billing_read', 'rds_iam'],
      leases: [next.id],
    });
    expect(await whoAmI(stage, await mint(who, next.id))).toBe(next.login);
    last = next;
  }
  await revoke(who, last.id);
  await closed(who, last.id);
  expect(await holdings(stage, 'billing', last.login)).toEqual(nothing);
});
