import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { asMaster, holdings, nothing } from './holdings.ts';
import {
  closed,
  grantOf,
  known,
  logIn,
  mint,
  opened,
  person,
  revoke,
  setStage,
  story,
  type Grant,
  type Stage,
} from './stage.ts';

let usher: Usher;
let stage: Stage;

/** The allow-list as this file needs it: one profile of its own, with two groups. */
const allow = (groups: string): Promise<unknown> =>
  asMaster(stage.standIn, 'billing', 'postgres', (master) =>
    master.query(`SELECT usher.allow('ledger', $1, 240, 5)`, [groups]),
  );
const enable = (on: boolean): Promise<unknown> =>
  asMaster(stage.standIn, 'billing', 'postgres', (master) =>
    master.query(`UPDATE usher.profile SET enabled = $1 WHERE name = 'ledger'`, [on]),
  );

beforeAll(async () => {
  usher = await startUsher();
  stage = await setStage(usher);
  await asMaster(stage.standIn, 'billing', 'postgres', async (master) => {
    const { rowCount } = await master.query(`SELECT 1 FROM pg_roles WHERE rolname = 'billing_audit'`);
    if (rowCount === 0) await master.query('CREATE ROLE billing_audit NOLOGIN');
  });
  await allow('{billing_read,billing_audit}');
  const dave = await known(stage, 'dave');
  const profile = { name: 'ledger', groups: ['billing_read', 'billing_audit'], maxMinutes: 240, approvalsNeeded: 0 };
  const more = { readOnly: true, connectionLimit: 5 };
  const made = await dave.post<{ id: string }>(`/v1/targets/${stage.targets.billing.id}/profiles`, {
    ...profile,
    ...more,
  });
  expect([made.status, made.body]).toEqual([201, expect.anything()]);
  stage.targets.billing.profiles['ledger'] = made.body.id;
});
afterEach(async () => {
  await allow('{billing_read,billing_audit}');
  await enable(true);
});
afterAll(() => usher?.close());

const reconcile = (grant: Grant): Promise<void> =>
  usher.reconciler.reconcile({ targetId: stage.targets.billing.id, login: grant.login });

test('a group that the DBA takes off the list leaves the grant active, with less, and nothing is tried for ever', async () => {
  const who = person(stage, 'lesser', ['engineers']);
  const grant = await opened(stage, who, { target: 'billing', profile: 'ledger' });
  expect((await holdings(stage, 'billing', grant.login)).memberships).toEqual([
    'billing_audit',
    'billing_read',
    'rds_iam',
  ]);
  await allow('{billing_read}');
  await usher.reconciler.reconcile({ targetId: stage.targets.billing.id, login: grant.login, repair: true });
  expect((await holdings(stage, 'billing', grant.login)).memberships).toEqual(['billing_read', 'rds_iam']);
  await reconcile(grant);
  expect(await grantOf(who, grant.id)).toMatchObject({ state: 'active', attempts: 0, lastError: null });
  await revoke(who, grant.id);
  await closed(who, grant.id);
  expect(await holdings(stage, 'billing', grant.login)).toEqual(nothing);
});

test('a profile that the DBA disables ends its grants here, too: nobody is told of access that is not there', async () => {
  const who = person(stage, 'dropped', ['engineers']);
  const grant = await opened(stage, who, { target: 'billing', profile: 'ledger' });
  const session = await logIn(stage, await mint(who, grant.id));
  await enable(false);
  await usher.reconciler.reconcile({ targetId: stage.targets.billing.id, login: grant.login, repair: true });
  expect(await closed(who, grant.id)).toMatchObject({ closeReason: 'withdrawn by the target' });
  expect(await holdings(stage, 'billing', grant.login)).toEqual(nothing);
  await expect(session.query('SELECT 1')).rejects.toThrow();
  const ending = (await story(stage, grant.id)).filter(({ action }) => action === 'grant.closing');
  expect(ending.map(({ outcome }) => outcome)).toEqual(['failed']);
});

test('a lease that was closed on the target ends its grant: a closed one is never opened again', async () => {
  const who = person(stage, 'swept', ['engineers']);
  const grant = await opened(stage, who, { target: 'billing', profile: 'ledger' });
  await enable(false);
  await asMaster(stage.standIn, 'billing', 'postgres', (master) => master.query('CALL usher.sweep()'));
  await enable(true);
  expect(await holdings(stage, 'billing', grant.login)).toEqual(nothing);
  await reconcile(grant);
  expect(await closed(who, grant.id)).toMatchObject({ closeReason: 'withdrawn by the target' });
});

test('more time than the target allows is taken back here, and is on record', async () => {
  const who = person(stage, 'greedy', ['engineers']);
  const grant = await opened(stage, who, { target: 'billing', profile: 'ledger', minutes: 30 });
  await usher.database.owner.query(
    `UPDATE access_grant SET ends_at = ends_at + interval '1 day', next_attempt_at = now() WHERE id = $1`,
    [grant.id],
  );
  await reconcile(grant);
  const kept = await until('the end is what the target holds', async () => {
    const found = await grantOf(who, grant.id);
    return found.endsAt === grant.endsAt && found;
  });
  expect(kept.state).toBe('active');
  const faults = (await story(stage, grant.id)).filter(({ action }) => action === 'grant.fault');
  expect(faults.map(({ details }) => details['endsAt'])).toEqual([grant.endsAt]);
  await until('it is settled', async () => {
    const { rows } = await usher.database.owner.query(
      'SELECT 1 FROM access_grant WHERE id = $1 AND next_attempt_at IS NULL',
      [grant.id],
    );
    return rows.length === 1;
  });
  await revoke(who, grant.id);
  await closed(who, grant.id);
});
