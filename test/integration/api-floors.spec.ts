import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultPolicyFile } from '../../src/policy/engine.js';
import { known, newName, open, register, someone, type Registered } from '../support/people.ts';
import { startUsher, type Usher } from '../support/usher.ts';

const directory = mkdtempSync(join(tmpdir(), 'usher-floors-'));
let usher: Usher;
let orders: Registered;

beforeAll(async () => {
  const file = join(directory, 'lax.cedar');
  const lax = '@id("lax") permit (principal is Usher::Person in Usher::Group::"admins", action, resource);';
  writeFileSync(file, `${readFileSync(defaultPolicyFile, 'utf8')}\n${lax}\n`);
  usher = await startUsher({ settings: { jobs: false }, env: { USHER_POLICY_FILE: file } });
  orders = await register(usher, 'orders');
});
afterAll(async () => {
  await usher?.close();
  rmSync(directory, { recursive: true, force: true });
});

describe('whatever policy permits', () => {
  test('nobody gets the token of somebody else’s grant', async () => {
    const holder = someone(usher, ['engineers']);
    const { grantId } = await open(usher, holder, orders);
    const { body } = await (await known(usher, 'dave')).post(`/v1/grants/${grantId}/tokens`, {});
    expect(body).toMatchObject({ status: 403, code: 'not_your_grant' });
    expect((await holder.post(`/v1/grants/${grantId}/tokens`, {})).status).toBe(201);
  });

  test('nobody administers another account of their own', async () => {
    const email = `${newName()}@example.com`;
    const twin = someone(usher, ['engineers'], { email: email.toUpperCase() });
    const { personId } = await open(usher, twin, orders);
    const admin = someone(usher, ['admins'], { email });
    for (const what of ['lock', 'unlock'])
      expect((await admin.post(`/v1/people/${personId}/${what}`, { reason: 'to be left alone' })).body).toMatchObject({
        ...{ status: 403, code: 'policy_denied' },
      });
    expect((await (await known(usher, 'dave')).post(`/v1/people/${personId}/unlock`, {})).status).toBe(200);
  });

  test('nobody becomes another human by a token that leaves the address out', async () => {
    const [name, email] = [newName(), `${newName()}@example.com`];
    const twin = someone(usher, ['engineers'], { email });
    const { personId } = await open(usher, twin, orders);
    for (const more of [{ email: email.toUpperCase() }, { email: undefined }])
      expect((await someone(usher, ['admins'], more, name).get('/v1/targets')).status).toBe(200);
    const admin = someone(usher, ['admins'], { email: undefined }, name);
    const { body } = await admin.post(`/v1/people/${personId}/lock`, { reason: 'to be somebody else' });
    expect(body).toMatchObject({ status: 403, code: 'policy_denied' });
  });
});
