import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { actions } from '../../src/policy/policy.contract.js';
import { ask, askFor, known, newName, open, register, someone, type Registered } from '../support/people.ts';
import { later, linesOf, newService, refused, seen, type MadeService } from '../support/services.ts';
import { startUsher, type Answer, type Client, type Usher } from '../support/usher.ts';

let usher: Usher;
let orders: Registered;
let dave: Client;
/** May do everything for everybody, as far as its key goes. */
let portal: MadeService;

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  dave = await known(usher, 'dave');
  portal = await newService(usher, actions, { actsForAnybody: true });
});
afterAll(() => usher?.close());

describe('a service that names somebody', () => {
  test('asks for them, and both are on record', async () => {
    const person = await seen(usher);
    for (const name of [person.id, person.email, person.email.toUpperCase()]) {
      const asked = await portal.for(name).post<{ id: string }>('/v1/requests', askFor(orders));
      expect(asked).toMatchObject({
        status: 201,
        body: { personId: person.id, viaServiceId: portal.id, viaServiceName: portal.name, state: 'pending' },
      });
      expect(await linesOf(usher, asked)).toMatchObject([
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
    const owner = await seen(usher, ['orders-owners', 'auditors']);
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
    const person = await seen(usher);
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
      expect(await linesOf(usher, answer)).toMatchObject([
        { actor_id: person.id, via_service_id: portal.id, code: 'policy_denied' },
      ]);
    }
    const minted = await portal.for(person.id, person.token).post(`/v1/grants/${grantId}/tokens`, {});
    expect(minted).toMatchObject({ status: 201, body: { token: expect.any(String) as string } });
    expect(await linesOf(usher, minted)).toMatchObject([
      { action: 'token.mint', actor_id: person.id, via_service_id: portal.id, via_name: portal.name },
    ]);
    // what was kept from the first is decided with
    expect((await portal.for(undefined, person.token).post(`/v1/grants/${grantId}/tokens`, {})).status).toBe(201);
    refused(await named.post(`/v1/grants/${grantId}/tokens`, {}), 403, 'policy_denied');
  });

  test('has no say for them by name, nor with their token in what it asked for itself', async () => {
    const [person, owner] = [await seen(usher), await seen(usher, ['orders-owners'])];
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
    expect(await linesOf(usher, approved)).toMatchObject([
      { action: 'request.approve', actor_id: owner.id, via_service_id: other.id },
      { action: 'grant.create', actor_id: owner.id, via_service_id: other.id },
    ]);
  });

  test('changes what was asked for through it, and nothing that was asked for directly or through another', async () => {
    const person = await seen(usher);
    const own = await ask(person.client, orders);
    const { body: through } = await portal.for(person.id).post<{ id: string }>('/v1/requests', askFor(orders));
    const other = await newService(usher, actions, { actsForAnybody: true });
    const change = { reason: 'as the other portal words it' };
    for (const [service, id] of [
      [portal, own.id],
      [other, own.id],
      [other, through.id],
    ] as const) {
      const answer = await service.for(person.id, person.token).patch(`/v1/requests/${id}`, change);
      refused(answer, 403, 'acting_not_possible');
      expect(await linesOf(usher, answer)).toMatchObject([
        { actor_id: person.id, via_service_id: service.id, request_id: id, code: 'acting_not_possible' },
      ]);
      const document = `mutation { editRequest(id: "${id}", input: { reason: "by GraphQL" }) { id } }`;
      const { errors } = await service.for(person.id, person.token).graphql(document);
      expect(errors).toMatchObject([{ extensions: { code: 'acting_not_possible', status: 403 } }]);
      expect((await person.client.get(`/v1/requests/${id}`)).body).toMatchObject({
        ...{ reason: askFor(orders)['reason'], planRevision: 1 },
      });
    }
    const same = await portal.for(person.id, person.token).patch(`/v1/requests/${through.id}`, change);
    expect(same).toMatchObject({ status: 200, body: { ...change, planRevision: 2, viaServiceId: portal.id } });
    expect((await person.client.patch(`/v1/requests/${own.id}`, change)).body).toMatchObject({ planRevision: 2 });
  });

  test('decides on many at once no more than its key is for: on none, where one of them is beyond it', async () => {
    const owner = await seen(usher, ['orders-owners']);
    const scopes = ['actFor', 'viewRequests', 'deny'];
    const service = await newService(usher, scopes, { actsForAnybody: true });
    const [one, two] = [
      await ask(someone(usher, ['engineers']), orders),
      await ask(someone(usher, ['engineers']), orders),
    ];
    const decide = (...verdicts: string[]): Promise<Answer> =>
      service.for(undefined, owner.token).post('/v1/requests/decisions', {
        decisions: verdicts.map((verdict, i) => ({ id: [one.id, two.id][i], verdict })),
      });
    const states = async (): Promise<unknown[]> =>
      Promise.all([one, two].map(async ({ id }) => (await owner.client.get(`/v1/requests/${id}`)).body['state']));
    for (const verdicts of [['approve'], ['deny', 'approve']]) {
      const answer = await decide(...verdicts);
      refused(answer, 403, 'scope_missing');
      expect(await linesOf(usher, answer)).toMatchObject([
        { action: 'access.refused', actor_id: owner.id, via_service_id: service.id, code: 'scope_missing' },
      ]);
      expect(await states()).toEqual(['pending', 'pending']);
    }
    expect((await decide('deny', 'deny')).status).toBe(200);
    expect(await states()).toEqual(['denied', 'denied']);
  });

  test('goes without approval only where its key is for that, too', async () => {
    const person = await seen(usher);
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
    const person = await seen(usher);
    const { for: forPerson } = await newService(usher, ['actFor', 'viewTargets'], { actsForAnybody: true });
    const answer = await forPerson(person.id, person.token).post('/v1/requests', askFor(orders));
    refused(answer, 403, 'scope_missing');
    expect(await linesOf(usher, answer)).toMatchObject([{ actor_id: person.id, code: 'scope_missing' }]);
    const { id } = await ask(person.client, orders);
    for (const one of [id, '0192e4a0-0000-7000-8000-000000000000'])
      refused(await forPerson(person.id, person.token).get(`/v1/requests/${one}`), 403, 'scope_missing');
  });

  test('keeps the answers for one person from another, and from the person', async () => {
    const [one, two] = [await seen(usher), await seen(usher)];
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
    const person = await seen(usher);
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
    for (const name of [(await seen(usher)).id, 'nobody@example.com', ''])
      refused(await targets(forPerson(name)), 403, 'scope_missing');
  });

  test('outside the groups that the service acts for', async () => {
    const service = await newService(usher, actions, { actsFor: ['engineers'] });
    const [engineer, analyst] = [await seen(usher, ['engineers']), await seen(usher, ['analysts'])];
    expect((await targets(service.for(engineer.id))).status).toBe(200);
    for (const token of [undefined, analyst.token]) {
      const answer = await targets(service.for(analyst.id, token));
      refused(answer, 403, 'policy_denied');
      expect(await linesOf(usher, answer)).toMatchObject([
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
    expect(await linesOf(usher, answer)).toMatchObject([
      { actor_kind: 'service', actor_id: portal.id, code: 'unknown_person' },
    ]);
  });

  test('by an address that two people have, until one of them has left', async () => {
    const email = `${newName('shared')}@example.com`;
    const [one, two] = [
      await seen(usher, ['engineers'], { email }),
      await seen(usher, ['engineers'], { email: email.toUpperCase() }),
    ];
    refused(await targets(portal.for(email)), 403, 'ambiguous_person');
    expect((await targets(portal.for(one.id))).status).toBe(200);
    await dave.delete(`/v1/people/${two.id}`);
    expect((await targets(portal.for(email))).status).toBe(200);
  });

  test('by an address that the provider did not verify', async () => {
    const email = `${newName('claimed')}@example.com`;
    await seen(usher, ['engineers'], { email, email_verified: false });
    refused(await targets(portal.for(email)), 403, 'unknown_person');
  });

  test('who is locked or was removed, by name or by token', async () => {
    const [locked, removed] = [await seen(usher), await seen(usher)];
    await dave.post(`/v1/people/${locked.id}/lock`, { reason: 'a laptop was stolen' });
    await dave.delete(`/v1/people/${removed.id}`);
    later(usher, 2_000);
    for (const [person, code] of [
      [locked, 'person_locked'],
      [removed, 'person_removed'],
    ] as const)
      for (const client of [portal.for(person.id), portal.for(person.email), portal.for(undefined, person.token)])
        refused(await targets(client), 409, code);
  });

  test('with a token that is no good, or of somebody else than is named', async () => {
    const [one, two] = [await seen(usher), await seen(usher)];
    const expired = await usher.standIn.oidc.tokenFor('alice', { expiresIn: -600 });
    const foreign = await usher.standIn.oidc.tokenFor('alice', { audience: 'another-service' });
    refused(await targets(portal.for(undefined, expired)), 401, 'token_expired');
    refused(await targets(portal.for(undefined, foreign)), 401, 'token_invalid');
    refused(await targets(portal.for(undefined, portal.key)), 401, 'token_invalid');
    refused(await targets(portal.for(one.id, '')), 401, 'token_missing');
    refused(await targets(portal.for(one.id, two.token)), 403, 'ambiguous_person');
  });

  test('by a person', async () => {
    const [one, two] = [await seen(usher, ['admins']), await seen(usher)];
    const answer = await usher.withToken(one.token, { 'usher-on-behalf-of': two.id }).get('/v1/targets');
    refused(answer, 403, 'acting_not_possible');
    expect(await linesOf(usher, answer)).toMatchObject([{ actor_kind: 'person', actor_id: one.id }]);
    const token = usher.withToken(one.token, { 'usher-on-behalf-of-token': two.token });
    refused(await token.get('/v1/targets'), 403, 'acting_not_possible');
  });
});
