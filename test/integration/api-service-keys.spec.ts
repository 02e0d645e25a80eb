import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { actions } from '../../src/policy/policy.contract.js';
import { askFor, auditLines, known, newName, register, type Registered } from '../support/people.ts';
import { later, linesOf, newService, refused, type MadeKey, type MadeService } from '../support/services.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

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

describe('an API key', () => {
  test('is shown once, is not to be kept by anybody, and then is a prefix and a hash', async () => {
    const { id } = await newService(usher, ['viewTargets']);
    const made = await dave.post<MadeKey>(`/v1/services/${id}/keys`, { scopes: ['viewTargets', 'viewTrust'] });
    expect([made.status, made.headers.get('cache-control')]).toEqual([201, 'no-store']);
    expect(made.body.key).toMatch(/^usher_[a-z0-9]{12}_[0-9A-Za-z]{49}$/);
    expect(made.body.key.split('_')[1]).toBe(made.body.apiKey.prefix);
    const days = (Date.parse(made.body.apiKey.expiresAt) - usher.clock.now().getTime()) / 86_400_000;
    expect(Math.round(days)).toBe(90);
    const { body } = await dave.get(`/v1/services/${id}/keys`);
    expect(body).toHaveLength(2);
    expect(JSON.stringify(body)).not.toMatch(/hash|usher_/);
    const [secret] = made.body.key.split('_').slice(2);
    const { rows } = await usher.database.owner.query('SELECT to_jsonb(k)::text AS row FROM api_key k');
    expect(JSON.stringify([rows, await auditLines(usher)])).not.toContain(secret);
  });

  test('is made anew by the same Idempotency-Key, and no answer of it is kept', async () => {
    const { id, keyId } = await newService(usher, ['viewTargets']);
    for (const [path, body] of [
      [`/v1/services/${id}/keys`, { scopes: ['viewTargets'] }],
      [`/v1/services/${id}/keys/${keyId}/rotate`, {}],
    ] as const) {
      const headers = { 'idempotency-key': newName('k') };
      const [one, two] = [await dave.post<MadeKey>(path, body, headers), await dave.post<MadeKey>(path, body, headers)];
      expect([one.status, two.status]).toEqual([201, 201]);
      expect(one.body.key).not.toBe(two.body.key);
      const { rows } = await usher.database.owner.query('SELECT answer FROM idempotent_answer WHERE key = $1', [
        headers['idempotency-key'],
      ]);
      expect(rows).toEqual([{ answer: null }]);
    }
  });

  test('opens what its scopes name, with nobody behind it', async () => {
    const { alone, keyId, id, name } = await newService(usher, ['viewTargets', 'administerTargets', 'request']);
    expect((await alone.get('/v1/targets')).status).toBe(200);
    expect((await usher.db.client.apiKey.findUniqueOrThrow({ where: { id: keyId } })).lastUsedAt).not.toBeNull();
    const trust = await alone.get('/v1/trust/partitions');
    refused(trust, 403, 'scope_missing');
    expect(await linesOf(usher, trust)).toMatchObject([
      { action: 'access.refused', actor_kind: 'service', actor_id: id, actor_name: name, via_service_id: null },
    ]);
    refused(await alone.post('/v1/requests', askFor(orders)), 403, 'not_for_services');
    refused(await alone.delete(`/v1/targets/${orders.targetId}`), 403, 'not_for_services');
    const { errors } = await alone.graphql('{ trustPartitions { partition } }');
    expect(errors).toMatchObject([{ extensions: { code: 'scope_missing' } }]);
    const correlationId = errors?.[0]?.extensions['correlationId'] as string;
    expect(await auditLines(usher, correlationId)).toMatchObject([
      { action: 'access.refused', actor_name: name, details: { asked: 'viewTrust' } },
    ]);
  });

  test('says when it was used last, to the minute', async () => {
    const { alone, keyId } = await newService(usher, ['viewTargets']);
    const used = async () => (await usher.db.client.apiKey.findUniqueOrThrow({ where: { id: keyId } })).lastUsedAt;
    await alone.get('/v1/targets');
    const first = await used();
    later(usher, 30_000);
    await alone.get('/v1/targets');
    expect(await used()).toEqual(first);
    later(usher, 31_000);
    await alone.get('/v1/targets');
    expect((await used())?.getTime()).toBeGreaterThan((first?.getTime() ?? 0) + 60_000);
  });

  test.each<[string, (key: string) => string]>([
    ['with another secret', (key) => `${key.slice(0, -49)}${'a'.repeat(49)}`],
    ['with an altered checksum', (key) => key.slice(0, -1) + (key.endsWith('a') ? 'b' : 'a')],
    ['that is cut', (key) => key.slice(0, 30)],
    ['of nobody', () => 'usher_'],
  ])('%s is refused without a word of it', async (_, altered) => {
    const key = altered((await newService(usher, ['viewTargets'])).key);
    const answer = await usher.withToken(key).get('/v1/targets');
    refused(answer, 401, 'key_invalid');
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="usher"');
    if (key.length > 20)
      expect(JSON.stringify([answer.body, await linesOf(usher, answer)])).not.toContain(key.slice(18));
    expect(await linesOf(usher, answer)).toMatchObject([
      { action: 'access.refused', actor_kind: 'nobody', code: 'key_invalid' },
    ]);
  });

  test('of the right form and another secret is refused as one that is not known', async () => {
    const [one, two] = [await newService(usher, ['viewTargets']), await newService(usher, ['viewTargets'])];
    await usher.database.owner.query(
      `UPDATE api_key SET hash = (SELECT hash FROM api_key WHERE id = $1) WHERE id = $2`,
      [one.keyId, two.keyId],
    );
    refused(await two.alone.get('/v1/targets'), 401, 'key_invalid');
    expect((await one.alone.get('/v1/targets')).status).toBe(200);
  });

  test('ends with its time, and is counted among those that will before', async () => {
    const counted = async (): Promise<number> => {
      const { body } = await dave.get<{ text: string }>('/metrics');
      return Number(/^usher_api_keys_expiring (\d+)/m.exec(body.text)?.[1]);
    };
    const before = await counted();
    const { id } = await newService(usher, ['viewTargets']);
    const { body } = await dave.post<MadeKey>(`/v1/services/${id}/keys`, { scopes: ['viewTargets'], expiresInDays: 1 });
    expect(await counted()).toBe(before + 1);
    const client = usher.withToken(body.key);
    expect((await client.get('/v1/targets')).status).toBe(200);
    later(usher, 86_400_000 + 1_000);
    refused(await client.get('/v1/targets'), 401, 'key_expired');
    expect(await counted()).toBe(before);
    refused(await dave.post(`/v1/services/${id}/keys/${body.apiKey.id}/rotate`, {}), 409, 'key_ended');
  });

  test('that was revoked is refused at once, by every replica', async () => {
    const { id, keyId, key, alone } = await newService(usher, ['viewTargets']);
    const there = replica.withToken(key);
    expect([(await alone.get('/v1/targets')).status, (await there.get('/v1/targets')).status]).toEqual([200, 200]);
    const gone = await dave.delete(`/v1/services/${id}/keys/${keyId}`);
    expect(gone).toMatchObject({ status: 200, body: { id: keyId, revokedAt: expect.any(String) as string } });
    refused(await there.get('/v1/targets'), 401, 'key_revoked');
    refused(await alone.get('/v1/targets'), 401, 'key_revoked');
    expect((await dave.delete(`/v1/services/${id}/keys/${keyId}`)).body).toEqual(gone.body);
    refused(await dave.post(`/v1/services/${id}/keys/${keyId}/rotate`, {}), 409, 'key_ended');
    await expect(usher.db.client.apiKey.update({ where: { id: keyId }, data: { revokedAt: null } })).rejects.toThrow(
      /only comes nearer/,
    );
  });

  test('that is rotated works on for the overlap, beside the new one', async () => {
    const { id, keyId, alone } = await newService(usher, ['viewTargets', 'viewTrust']);
    const path = `/v1/services/${id}/keys/${keyId}/rotate`;
    const { body } = await dave.post<MadeKey>(path, { overlapMinutes: 10 });
    expect(body.apiKey).toMatchObject({ replacesId: keyId, scopes: ['viewTargets', 'viewTrust'] });
    const next = usher.withToken(body.key);
    expect([(await alone.get('/v1/targets')).status, (await next.get('/v1/targets')).status]).toEqual([200, 200]);
    later(usher, 10 * 60_000 + 1_000);
    refused(await alone.get('/v1/targets'), 401, 'key_expired');
    expect((await next.get('/v1/targets')).status).toBe(200);
    const { body: last } = await dave.post<MadeKey>(`/v1/services/${id}/keys/${body.apiKey.id}/rotate`, {
      overlapMinutes: 0,
    });
    refused(await next.get('/v1/targets'), 401, 'key_expired');
    expect((await usher.withToken(last.key).get('/v1/targets')).status).toBe(200);
  });

  test.each([
    ['no scope', { scopes: [] }],
    ['a scope that is no action', { scopes: ['everything'] }],
    ['the same scope twice', { scopes: ['viewTargets', 'viewTargets'] }],
    ['more than a year', { scopes: ['viewTargets'], expiresInDays: 366 }],
    ['no time', { scopes: ['viewTargets'], expiresInDays: 0 }],
    ['a part of a day', { scopes: ['viewTargets'], expiresInDays: 0.5 }],
    ['a secret of its own', { scopes: ['viewTargets'], key: 'usher_mine' }],
  ])('is not made with %s', async (_, input) => {
    refused(await dave.post(`/v1/services/${portal.id}/keys`, input), 400, 'invalid_input');
    expect(await usher.db.client.apiKey.count({ where: { serviceId: portal.id } })).toBe(1);
  });

  test('belongs to its service: another one has no such key', async () => {
    const { id } = await newService(usher, ['viewTargets']);
    refused(await dave.delete(`/v1/services/${id}/keys/${portal.keyId}`), 404, 'key_not_found');
    refused(await dave.post(`/v1/services/${id}/keys/${portal.keyId}/rotate`, {}), 404, 'key_not_found');
    refused(await dave.get('/v1/services/0192e4a0-0000-7000-8000-000000000000/keys'), 404, 'service_not_found');
    refused(await dave.get('/v1/services/portal'), 400, 'invalid_id');
  });

  test('is not the application’s to lend more: neither scopes nor service nor hash can be changed', async () => {
    for (const column of ['scopes', 'service_id', 'hash', 'prefix', 'created_at'])
      await expect(usher.db.pool.query(`UPDATE api_key SET ${column} = ${column}`)).rejects.toThrow(
        /permission denied/,
      );
    await expect(usher.db.pool.query('DELETE FROM api_key')).rejects.toThrow(/permission denied/);
    await expect(usher.db.pool.query('DELETE FROM service')).rejects.toThrow(/permission denied/);
  });
});
