import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { actions } from '../../src/policy/policy.contract.js';
import { readSchema } from '../support/graphql.ts';
import { ask, askFor, known, newName, register, someone, type Registered } from '../support/people.ts';
import { linesOf, newKey, newService, refused, seen, type MadeKey, type MadeService } from '../support/services.ts';
import { startUsher, type Answer, type Client, type Usher } from '../support/usher.ts';

let usher: Usher;
/** Another replica: another process would see no more of the first than this. */
let replica: Usher;
let orders: Registered;
let dave: Client;
/** May do everything for everybody, as far as its key goes. */
let portal: MadeService;

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  replica = await startUsher({ settings: { jobs: false }, database: usher.database, clock: usher.clock });
  orders = await register(usher, 'orders');
  dave = await known(usher, 'dave');
  portal = await newService(usher, actions, { actsForAnybody: true });
});
afterAll(async () => {
  await replica?.stop();
  await usher?.close();
});

describe('a service', () => {
  const lock = (id: string, reason = 'its key was seen in a log'): Promise<Answer> =>
    dave.post(`/v1/services/${id}/lock`, { reason });

  test('is registered under a name that no other ever has', async () => {
    const name = newName('portal');
    const input = {
      name,
      description: 'the portal of the platform team',
      groups: ['monitoring'],
      actsFor: ['engineers'],
    };
    const created = await dave.post<{ id: string }>('/v1/services', input);
    expect(created).toMatchObject({
      status: 201,
      body: { ...input, actsForAnybody: false, locked: false, removedAt: null },
    });
    expect(await linesOf(usher, created)).toMatchObject([
      { action: 'service.create', details: { service: name, ...input } },
    ]);
    refused(await dave.post('/v1/services', input), 409, 'name_taken');
    expect(await dave.delete(`/v1/services/${created.body.id}`)).toMatchObject({ status: 200 });
    refused(await dave.post('/v1/services', input), 409, 'name_taken');
  });

  test.each([
    ['no name', { name: '' }],
    ['a name with a space', { name: 'a b' }],
    ['no description', { description: ' ' }],
    ['a group that is no text', { groups: [1] }],
    ['a group twice', { actsFor: ['a', 'a'] }],
    ['a lock', { locked: false }],
  ])('is not registered with %s', async (_, wrong) => {
    const input = { name: newName('s'), description: 'a portal', ...wrong };
    refused(await dave.post('/v1/services', input), 400, 'invalid_input');
  });

  test('is changed from its next call on, and what was changed is on record', async () => {
    const { id, alone } = await newService(usher, ['viewMetrics']);
    refused(await alone.get('/metrics'), 403, 'policy_denied');
    const changed = await dave.patch(`/v1/services/${id}`, { groups: ['monitoring'] });
    expect(changed).toMatchObject({ status: 200, body: { groups: ['monitoring'] } });
    expect(await linesOf(usher, changed)).toMatchObject([
      { action: 'service.update', details: { changed: { groups: { from: [], to: ['monitoring'] } } } },
    ]);
    expect((await alone.get('/metrics')).status).toBe(200);
  });

  test('that is in a group of auditors reads the whole record for itself', async () => {
    const { alone } = await newService(usher, ['viewAudit', 'viewGrants'], { groups: ['auditors'] });
    const { body } = await alone.get<{ items: object[] }>('/v1/audit/events?limit=5');
    expect(body.items).toHaveLength(5);
    expect((await alone.get('/v1/grants')).status).toBe(200);
    refused(await alone.get('/v1/connections'), 403, 'scope_missing');
  });

  test('that is locked is refused at once everywhere, and what it asked for is cancelled', async () => {
    const service = await newService(usher, actions, { actsForAnybody: true });
    const person = await seen(usher);
    const [own, through] = [
      await ask(person.client, orders),
      await service.for(person.id).post<{ id: string }>('/v1/requests', askFor(orders)),
    ];
    const there = replica.withToken(service.key);
    expect((await there.get('/v1/targets')).status).toBe(200);
    const answer = await lock(service.id);
    expect(answer).toMatchObject({ status: 200, body: { locked: true, lockReason: 'its key was seen in a log' } });
    for (const client of [there, service.alone, service.for(person.id), service.for(undefined, person.token)])
      refused(await client.get('/v1/targets'), 403, 'service_locked');
    const state = async (id: string) =>
      (await person.client.get<{ state: string; closeReason: string }>(`/v1/requests/${id}`)).body;
    expect(await state(through.body.id)).toMatchObject({ state: 'cancelled', closeReason: 'the service was locked' });
    expect(await state(own.id)).toMatchObject({ state: 'pending' });
    expect(await linesOf(usher, answer)).toMatchObject([
      { action: 'request.cancel', request_id: through.body.id },
      { action: 'service.lock', details: { serviceId: service.id, requests: 1 } },
    ]);
    expect((await lock(service.id, 'another reason')).body).toMatchObject({ lockReason: 'its key was seen in a log' });
    expect((await dave.post(`/v1/services/${service.id}/unlock`)).body).toMatchObject({
      locked: false,
      lockReason: null,
    });
    expect((await there.get('/v1/targets')).status).toBe(200);
    expect(await state(through.body.id)).toMatchObject({ state: 'cancelled' });
  });

  test('leaves nothing waiting that it asked for at the moment of the lock', async () => {
    const person = await seen(usher);
    for (let round = 0; round < 5; round++) {
      const service = await newService(usher, actions, { actsForAnybody: true });
      const asking = Array.from({ length: 4 }, () => service.for(person.id).post('/v1/requests', askFor(orders)));
      await Promise.all([...asking, lock(service.id)]);
      expect(await usher.db.client.request.count({ where: { viaServiceId: service.id, state: 'pending' } })).toBe(0);
    }
  });

  test('changes nothing at the moment of the lock: what it asked for ends, before or after', async () => {
    const person = await seen(usher);
    for (let round = 0; round < 5; round++) {
      const service = await newService(usher, actions, { actsForAnybody: true });
      const asking = service.for(undefined, person.token);
      const { body } = await asking.post<{ id: string }>('/v1/requests', askFor(orders));
      const [edit] = await Promise.all([
        asking.patch(`/v1/requests/${body.id}`, { reason: 'another reason' }),
        lock(service.id),
      ]);
      expect([200, 403, 409]).toContain(edit.status);
      expect((await person.client.get(`/v1/requests/${body.id}`)).body).toMatchObject({ state: 'cancelled' });
    }
  });

  test('is locked by security, and unlocked or removed by administrators alone', async () => {
    const { id, alone } = await newService(usher, ['viewTargets']);
    const erin = someone(usher, ['security']);
    const answer = await erin.post(`/v1/services/${id}/lock`, { reason: 'its key was seen in a log' });
    expect(answer).toMatchObject({ status: 200, body: { locked: true } });
    refused(await alone.get('/v1/targets'), 403, 'service_locked');
    refused(await erin.post(`/v1/services/${id}/unlock`), 403, 'policy_denied');
    refused(await erin.delete(`/v1/services/${id}`), 403, 'policy_denied');
    refused(
      await someone(usher, ['auditors']).post(`/v1/services/${id}/lock`, { reason: 'why' }),
      403,
      'policy_denied',
    );
  });

  test('that was removed is no more: neither its keys, nor what waited, nor a change', async () => {
    const service = await newService(usher, actions, { actsForAnybody: true });
    const person = await seen(usher);
    const { body } = await service.for(person.id).post<{ id: string }>('/v1/requests', askFor(orders));
    const gone = await dave.delete(`/v1/services/${service.id}`);
    expect(gone).toMatchObject({ status: 200, body: { removedAt: expect.any(String) as string } });
    expect(await dave.delete(`/v1/services/${service.id}`)).toMatchObject({ status: 200, body: gone.body });
    refused(await service.alone.get('/v1/targets'), 401, 'key_revoked');
    expect((await person.client.get(`/v1/requests/${body.id}`)).body).toMatchObject({
      ...{ state: 'cancelled', closeReason: 'the service was removed' },
    });
    for (const call of [
      dave.patch(`/v1/services/${service.id}`, { groups: [] }),
      lock(service.id),
      dave.post(`/v1/services/${service.id}/unlock`),
      dave.post(`/v1/services/${service.id}/keys`, { scopes: ['viewTargets'] }),
      dave.post(`/v1/services/${service.id}/keys/${service.keyId}/rotate`, {}),
    ])
      refused(await call, 409, 'service_removed');
    await expect(
      usher.db.client.service.update({ where: { id: service.id }, data: { removedAt: null } }),
    ).rejects.toThrow(/never changed/);
    await expect(
      usher.db.client.request.update({ where: { id: body.id }, data: { viaServiceId: null } }),
    ).rejects.toThrow(/never changed/);
  });

  test('cannot be locked without a reason, nor by whom it is no business of', async () => {
    for (const why of ['', ' ', 'a\u0000b', 'x'.repeat(1001)])
      refused(await lock(portal.id, why), 400, 'invalid_input');
    refused(
      await someone(usher, ['engineers']).post(`/v1/services/${portal.id}/lock`, { reason: 'why' }),
      403,
      'policy_denied',
    );
    const admin = await seen(usher, ['admins']);
    refused(
      await portal.for(admin.id).post(`/v1/services/${portal.id}/keys`, { scopes: ['viewTargets'] }),
      403,
      'policy_denied',
    );
  });

  test('has two keys that work side by side', async () => {
    const { id, alone } = await newService(usher, ['viewTargets']);
    const { key } = await newKey(usher, id, ['viewTrust']);
    expect((await usher.withToken(key).get('/v1/trust/partitions')).status).toBe(200);
    refused(await usher.withToken(key).get('/v1/targets'), 403, 'scope_missing');
    expect((await alone.get('/v1/targets')).status).toBe(200);
  });

  test('answers by GraphQL what REST then tells, its keys too', async () => {
    const schema = await readSchema(dave);
    const input = { name: newName('s'), description: 'a bot', groups: ['monitoring'], actsForAnybody: true };
    const created = (await schema.ask(dave, 'createService(input: $input)', 'Service', {
      input: ['CreateService!', input],
    })) as { id: string };
    const path = `/v1/services/${created.id}`;
    expect((await dave.get(path)).body).toEqual(created);
    const scopes: [string, unknown] = ['CreateKey!', { scopes: ['viewTargets'], expiresInDays: 7 }];
    const call = `createApiKey(serviceId: "${created.id}", input: $input)`;
    const made = (await schema.ask(dave, call, 'NewKey', { input: scopes })) as MadeKey;
    expect((await dave.get(`${path}/keys`)).body).toEqual([made.apiKey]);
    const own = `serviceId: "${created.id}", id: "${made.apiKey.id}"`;
    const next = (await schema.ask(dave, `rotateApiKey(${own}, input: { overlapMinutes: 5 })`, 'NewKey')) as MadeKey;
    expect((await usher.withToken(next.key).get('/v1/targets')).status).toBe(200);
    await schema.ask(dave, `revokeApiKey(${own})`, 'ApiKey');
    const keys = await schema.ask(dave, `apiKeys(serviceId: "${created.id}")`, 'ApiKey');
    expect((await dave.get(`${path}/keys`)).body).toEqual(keys);
    for (const change of [
      `updateService(id: "${created.id}", input: { actsForAnybody: false })`,
      `lockService(id: "${created.id}", input: { reason: "why" })`,
      `unlockService(id: "${created.id}")`,
      `removeService(id: "${created.id}")`,
    ]) {
      const changed = await schema.ask(dave, change, 'Service');
      expect((await dave.get(path)).body).toEqual(changed);
      expect(await schema.ask(dave, `service(id: "${created.id}")`, 'Service')).toEqual(changed);
    }
    expect(await schema.ask(dave, 'services', 'Service')).toEqual((await dave.get('/v1/services')).body);
  });
});
