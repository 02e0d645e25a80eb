import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { actions } from '../../src/policy/policy.contract.js';
import {
  ask,
  askFor,
  auditLines,
  claimsOf,
  known,
  newName,
  open,
  register,
  someone,
  type Registered,
} from '../support/people.ts';
import { newKey, newService, type MadeKey, type MadeService } from '../support/services.ts';
import { startUsher, type Answer, type Client, type Usher } from '../support/usher.ts';

let usher: Usher;
/** Another replica: another process would see no more of the first than this. */
let replica: Usher;
let orders: Registered;
let dave: Client;
let bob: Client;
/** May do everything for everybody, as far as its key goes. */
let portal: MadeService;

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  replica = await startUsher({ settings: { jobs: false }, database: usher.database, clock: usher.clock });
  orders = await register(usher, 'orders');
  [dave, bob] = [await known(usher, 'dave'), await known(usher, 'bob')];
  await bob.get('/v1/targets');
  portal = await newService(usher, actions, { actsForAnybody: true });
});
afterAll(async () => {
  await replica?.stop();
  await usher?.close();
});

/** Until the end of the test: targets live in the time that is, and open nothing that is to end days ahead of it. */
function later(milliseconds: number): void {
  usher.clock.move(milliseconds);
  onTestFinished(() => usher.clock.move(-milliseconds));
}

interface Known {
  id: string;
  name: string;
  email: string;
  token: string;
  client: Client;
}

/** Somebody whom Usher has seen once. */
async function seen(groups: readonly string[] = ['engineers'], more: Record<string, unknown> = {}): Promise<Known> {
  const name = newName();
  const claims = claimsOf(usher, name, groups, more);
  const token = usher.standIn.oidc.signWith(claims);
  const client = usher.withToken(token);
  await client.get('/v1/targets');
  const { id } = await usher.db.client.person.findFirstOrThrow({ where: { subject: `sub-${name}` } });
  return { id, name: String(claims['email']), email: String(claims['email']), token, client };
}

const refused = ({ status, body }: Answer, ...expected: [status: number, code: string]): void =>
  expect([status, body['code']], JSON.stringify(body)).toEqual(expected);

const lines = async (answer: Answer) =>
  (
    await usher.database.owner.query<Record<string, unknown>>(
      'SELECT * FROM audit_event WHERE correlation_id = $1 ORDER BY id',
      [answer.headers.get('x-correlation-id')],
    )
  ).rows;

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
    expect(await lines(trust)).toMatchObject([
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
    later(30_000);
    await alone.get('/v1/targets');
    expect(await used()).toEqual(first);
    later(31_000);
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
    if (key.length > 20) expect(JSON.stringify([answer.body, await lines(answer)])).not.toContain(key.slice(18));
    expect(await lines(answer)).toMatchObject([
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
    later(86_400_000 + 1_000);
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
    later(10 * 60_000 + 1_000);
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

describe('a service that names somebody', () => {
  test('asks for them, and both are on record', async () => {
    const person = await seen();
    for (const name of [person.id, person.email, person.email.toUpperCase()]) {
      const asked = await portal.for(name).post<{ id: string }>('/v1/requests', askFor(orders));
      expect(asked).toMatchObject({
        status: 201,
        body: { personId: person.id, viaServiceId: portal.id, viaServiceName: portal.name, state: 'pending' },
      });
      expect(await lines(asked)).toMatchObject([
        {
          ...{ action: 'request.create', actor_kind: 'person', actor_id: person.id, subject_id: person.id },
          ...{ via_service_id: portal.id, via_name: portal.name },
        },
      ]);
      expect(await portal.for(name).post(`/v1/requests/${asked.body.id}/cancel`)).toMatchObject({
        ...{ status: 200, body: { state: 'cancelled' } },
      });
    }
    const { body } = await dave.get<{ items: object[] }>(`/v1/audit/events?service=${portal.id}&person=${person.id}`);
    expect(body.items).toHaveLength(6);
    expect(body.items[0]).toMatchObject({ actorId: person.id, viaServiceId: portal.id, viaName: portal.name });
  });

  test('sees what is theirs, and nothing else of what they may see', async () => {
    const owner = await seen(['orders-owners', 'auditors']);
    const own = await ask(owner.client, orders);
    const other = await ask(someone(usher, ['engineers']), orders);
    const named = portal.for(owner.id);
    const listed = await named.get<{ items: { id: string }[] }>('/v1/requests');
    expect(listed.body.items.map(({ id }) => id)).toEqual([own.id]);
    refused(await named.get(`/v1/requests/${other.id}`), 404, 'request_not_found');
    const proven = portal.for(undefined, owner.token);
    expect((await proven.get(`/v1/requests/${other.id}`)).status).toBe(200);
  });

  test('gets no token, no password and no end of what they have; with their token it does', async () => {
    const person = await seen();
    const { grantId } = await open(usher, person.client, orders);
    const named = portal.for(person.id);
    for (const [path, input] of [
      ['tokens', {}],
      ['passwords', {}],
      ['revoke', undefined],
      ['diagnose', {}],
    ] as const) {
      const answer = await named.post(`/v1/grants/${grantId}/${path}`, input);
      refused(answer, 403, 'policy_denied');
      expect(answer.body['advice']).toContain('Usher-On-Behalf-Of-Token');
      expect(await lines(answer)).toMatchObject([
        { actor_id: person.id, via_service_id: portal.id, code: 'policy_denied' },
      ]);
    }
    const minted = await portal.for(person.id, person.token).post(`/v1/grants/${grantId}/tokens`, {});
    expect(minted).toMatchObject({ status: 201, body: { token: expect.any(String) as string } });
    expect(await lines(minted)).toMatchObject([
      { action: 'token.mint', actor_id: person.id, via_service_id: portal.id, via_name: portal.name },
    ]);
    // what was kept from the first is decided with
    expect((await portal.for(undefined, person.token).post(`/v1/grants/${grantId}/tokens`, {})).status).toBe(201);
    refused(await named.post(`/v1/grants/${grantId}/tokens`, {}), 403, 'policy_denied');
  });

  test('has no say for them by name, nor with their token in what it asked for itself', async () => {
    const [person, owner] = [await seen(), await seen(['orders-owners'])];
    const { body } = await portal.for(person.id).post<{ id: string }>('/v1/requests', askFor(orders));
    for (const verdict of ['approve', 'deny']) {
      refused(await portal.for(owner.id).post(`/v1/requests/${body.id}/${verdict}`, {}), 404, 'request_not_found');
      const answer = await portal.for(owner.id, owner.token).post(`/v1/requests/${body.id}/${verdict}`, {});
      refused(answer, 403, 'policy_denied');
      expect(answer.body['detail']).toContain('no-say-through-who-asked');
    }
    const other = await newService(usher, ['actFor', 'approve'], { actsForAnybody: true });
    const approved = await other.for(undefined, owner.token).post(`/v1/requests/${body.id}/approve`, {});
    expect(approved).toMatchObject({ status: 200, body: { state: 'approved', viaServiceId: portal.id } });
    expect(await lines(approved)).toMatchObject([
      { action: 'request.approve', actor_id: owner.id, via_service_id: other.id },
      { action: 'grant.create', actor_id: owner.id, via_service_id: other.id },
    ]);
  });

  test('goes without approval only where its key is for that, too', async () => {
    const person = await seen();
    const path = `/v1/targets/${orders.targetId}/profiles/${orders.profiles['reporting-read']}`;
    await dave.patch(path, { approvalsNeeded: 0 });
    try {
      const modest = await newService(usher, ['actFor', 'request'], { actsForAnybody: true });
      const asked = await modest.for(person.id).post('/v1/requests', askFor(orders));
      expect(asked.body).toMatchObject({ state: 'pending', approvalsNeeded: 1 });
      expect((await portal.for(person.id).post('/v1/requests', askFor(orders))).body).toMatchObject({
        state: 'approved',
      });
    } finally {
      await dave.patch(path, { approvalsNeeded: 1 });
    }
  });

  test('does no more than its key is for, and learns nothing with it of what there is', async () => {
    const person = await seen();
    const { for: forPerson } = await newService(usher, ['actFor', 'viewTargets'], { actsForAnybody: true });
    const answer = await forPerson(person.id, person.token).post('/v1/requests', askFor(orders));
    refused(answer, 403, 'scope_missing');
    expect(await lines(answer)).toMatchObject([{ actor_id: person.id, code: 'scope_missing' }]);
    const { id } = await ask(person.client, orders);
    for (const one of [id, '0192e4a0-0000-7000-8000-000000000000'])
      refused(await forPerson(person.id, person.token).get(`/v1/requests/${one}`), 403, 'scope_missing');
  });

  test('keeps the answers for one person from another, and from the person', async () => {
    const [one, two] = [await seen(), await seen()];
    const headers = { 'idempotency-key': newName('k') };
    const post = (client: Client) =>
      client.post<{ id: string; personId: string }>('/v1/requests', askFor(orders), headers);
    const [first, again, other, self] = [
      await post(portal.for(one.id)),
      await post(portal.for(one.id)),
      await post(portal.for(two.id)),
      await post(one.client),
    ];
    expect(again.body).toEqual(first.body);
    expect(other.body.personId).toBe(two.id);
    expect(self.body).toMatchObject({ personId: one.id, viaServiceId: null });
    expect(new Set([first, other, self].map(({ body }) => body.id)).size).toBe(3);
  });

  test('does it by GraphQL as well', async () => {
    const person = await seen();
    const document =
      'mutation ($input: CreateRequest!) { createRequest(input: $input) { personId viaServiceId viaServiceName } }';
    const { data } = await portal.for(person.email).graphql(document, { input: askFor(orders) });
    expect(data).toEqual({
      createRequest: { personId: person.id, viaServiceId: portal.id, viaServiceName: portal.name },
    });
    const { errors } = await portal.for('nobody@example.com').graphql('{ targets { items { id } } }');
    expect(errors).toMatchObject([{ extensions: { code: 'unknown_person', status: 403 } }]);
  });
});

describe('nobody is acted for', () => {
  const targets = (client: Client): Promise<Answer> => client.get('/v1/targets');

  test('with a key that is not for it, whoever is named', async () => {
    const { for: forPerson } = await newService(usher, ['viewTargets'], { actsForAnybody: true });
    for (const name of [(await seen()).id, 'nobody@example.com', ''])
      refused(await targets(forPerson(name)), 403, 'scope_missing');
  });

  test('outside the groups that the service acts for', async () => {
    const service = await newService(usher, actions, { actsFor: ['engineers'] });
    const [engineer, analyst] = [await seen(['engineers']), await seen(['analysts'])];
    expect((await targets(service.for(engineer.id))).status).toBe(200);
    for (const token of [undefined, analyst.token]) {
      const answer = await targets(service.for(analyst.id, token));
      refused(answer, 403, 'policy_denied');
      expect(await lines(answer)).toMatchObject([
        { actor_kind: 'service', actor_id: service.id, subject_id: analyst.id },
      ]);
    }
    await dave.patch(`/v1/services/${service.id}`, { actsFor: [] });
    refused(await targets(service.for(engineer.id)), 403, 'policy_denied');
  });

  test.each([
    ['somebody unknown', 'nobody@example.com'],
    ['an id of nobody', '0192e4a0-0000-7000-8000-000000000000'],
    ['what is neither id nor address', 'alice'],
    ['two at once', 'alice@example.com, bob@example.com'],
    ['a pattern', '%@example.com'],
    ['nothing', ''],
  ])('by the name of %s', async (_, name) => {
    const answer = await targets(portal.for(name));
    refused(answer, 403, 'unknown_person');
    expect(await lines(answer)).toMatchObject([{ actor_kind: 'service', actor_id: portal.id, code: 'unknown_person' }]);
  });

  test('by an address that two people have, until one of them has left', async () => {
    const email = `${newName('shared')}@example.com`;
    const [one, two] = [
      await seen(['engineers'], { email }),
      await seen(['engineers'], { email: email.toUpperCase() }),
    ];
    refused(await targets(portal.for(email)), 403, 'ambiguous_person');
    expect((await targets(portal.for(one.id))).status).toBe(200);
    await dave.delete(`/v1/people/${two.id}`);
    expect((await targets(portal.for(email))).status).toBe(200);
  });

  test('by an address that the provider did not verify', async () => {
    const email = `${newName('claimed')}@example.com`;
    await seen(['engineers'], { email, email_verified: false });
    refused(await targets(portal.for(email)), 403, 'unknown_person');
  });

  test('who is locked or was removed, by name or by token', async () => {
    const [locked, removed] = [await seen(), await seen()];
    await dave.post(`/v1/people/${locked.id}/lock`, { reason: 'a laptop was stolen' });
    await dave.delete(`/v1/people/${removed.id}`);
    later(2_000);
    for (const [person, code] of [
      [locked, 'person_locked'],
      [removed, 'person_removed'],
    ] as const)
      for (const client of [portal.for(person.id), portal.for(person.email), portal.for(undefined, person.token)])
        refused(await targets(client), 409, code);
  });

  test('with a token that is no good, or of somebody else than is named', async () => {
    const [one, two] = [await seen(), await seen()];
    const expired = await usher.standIn.oidc.tokenFor('alice', { expiresIn: -600 });
    const foreign = await usher.standIn.oidc.tokenFor('alice', { audience: 'another-service' });
    refused(await targets(portal.for(undefined, expired)), 401, 'token_expired');
    refused(await targets(portal.for(undefined, foreign)), 401, 'token_invalid');
    refused(await targets(portal.for(undefined, portal.key)), 401, 'token_invalid');
    refused(await targets(portal.for(one.id, '')), 401, 'token_missing');
    refused(await targets(portal.for(one.id, two.token)), 403, 'ambiguous_person');
  });

  test('by a person', async () => {
    const [one, two] = [await seen(['admins']), await seen()];
    const answer = await usher.withToken(one.token, { 'usher-on-behalf-of': two.id }).get('/v1/targets');
    refused(answer, 403, 'acting_not_possible');
    expect(await lines(answer)).toMatchObject([{ actor_kind: 'person', actor_id: one.id }]);
    const token = usher.withToken(one.token, { 'usher-on-behalf-of-token': two.token });
    refused(await token.get('/v1/targets'), 403, 'acting_not_possible');
  });
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
    expect(await lines(created)).toMatchObject([{ action: 'service.create', details: { service: name, ...input } }]);
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
    expect(await lines(changed)).toMatchObject([
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
    const person = await seen();
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
    expect(await lines(answer)).toMatchObject([
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
    const person = await seen();
    for (let round = 0; round < 5; round++) {
      const service = await newService(usher, actions, { actsForAnybody: true });
      const asking = Array.from({ length: 4 }, () => service.for(person.id).post('/v1/requests', askFor(orders)));
      await Promise.all([...asking, lock(service.id)]);
      expect(await usher.db.client.request.count({ where: { viaServiceId: service.id, state: 'pending' } })).toBe(0);
    }
  });

  test('that was removed is no more: neither its keys, nor what waited, nor a change', async () => {
    const service = await newService(usher, actions, { actsForAnybody: true });
    const person = await seen();
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
    const admin = await seen(['admins']);
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
});
