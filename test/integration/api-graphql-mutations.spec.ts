import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSchema, type Schema } from '../support/graphql.ts';
import { ask, askFor, known, newName, open, register, someone, type Registered } from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

let usher: Usher;
let orders: Registered;
let schema: Schema;
let dave: Client;
let bob: Client;
let holder: Client;
let grant: { grantId: string };

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false } });
  orders = await register(usher, 'orders');
  [dave, bob] = [await known(usher, 'dave'), await known(usher, 'bob')];
  holder = someone(usher, ['engineers']);
  grant = await open(usher, holder, orders);
  schema = await readSchema(await known(usher, 'carol'));
});
afterAll(() => usher?.close());

const graphqlTarget = (more: Record<string, unknown>): Record<string, unknown> => ({
  ...usher.standIn.targets.orders.registration.target,
  ...{ name: newName('t'), kind: 'aurora_cluster' },
  ...more,
});

describe('a mutation answers what REST then tells', () => {
  const request = async (client = someone(usher, ['engineers'])): Promise<string> => (await ask(client, orders)).id;

  test('targets and profiles', async () => {
    const input = graphqlTarget({ resourceId: 'cluster-GRAPHQL' });
    const target = (await schema.ask(dave, 'createTarget(input: $input)', 'Target', {
      input: ['CreateTarget!', input],
    })) as { id: string };
    expect((await dave.get(`/v1/targets/${target.id}`)).body).toEqual(target);
    const changed = await schema.ask(
      dave,
      `updateTarget(id: "${target.id}", input: { engineVersion: "17.11" })`,
      'Target',
    );
    expect(changed).toMatchObject({ engineVersion: '17.11' });
    expect((await dave.get(`/v1/targets/${target.id}`)).body).toEqual(changed);
    const profile = `targetId: "${orders.targetId}", id: "${orders.profiles['orders-write']}"`;
    const less = await schema.ask(dave, `updateProfile(${profile}, input: { maxMinutes: 60 })`, 'Profile');
    expect((await dave.get<unknown[]>(`/v1/targets/${orders.targetId}/profiles`)).body).toContainEqual(less);
    expect(await schema.ask(dave, `deleteProfile(${profile})`, 'Profile')).toEqual(less);
    const again = await schema.ask(dave, `createProfile(targetId: "${orders.targetId}", input: $input)`, 'Profile', {
      input: ['CreateProfile!', usher.standIn.targets.orders.registration.profiles[1]],
    });
    expect((await dave.get<unknown[]>(`/v1/targets/${orders.targetId}/profiles`)).body).toContainEqual(again);
    const deleted = await schema.ask(dave, `deleteTarget(id: "${target.id}")`, 'Target');
    const last = { removingAt: expect.any(String), updatedAt: expect.any(String) };
    expect(deleted).toEqual({ ...(changed as object), ...last });
    expect((await dave.get(`/v1/targets/${target.id}`)).status).toBe(404);
  });

  test('requests and grants', async () => {
    const asker = someone(usher, ['engineers']);
    const created = (await schema.ask(asker, 'createRequest(input: $input)', 'AccessRequest', {
      input: ['CreateRequest!', askFor(orders)],
    })) as { id: string };
    expect((await asker.get(`/v1/requests/${created.id}`)).body).toEqual(created);
    const approved = (await schema.ask(
      bob,
      `approveRequest(id: "${created.id}", input: { comment: "fine" })`,
      'AccessRequest',
    )) as { grantId: string };
    expect((await bob.get(`/v1/requests/${created.id}`)).body).toEqual(approved);
    const endsAt = new Date(usher.clock.now().getTime() + 600_000).toISOString();
    const input = { input: ['ShortenGrant!', { endsAt }] as [string, unknown] };
    const shortened = await schema.ask(bob, `shortenGrant(id: "${approved.grantId}", input: $input)`, 'Grant', input);
    expect(shortened).toMatchObject({ endsAt });
    expect((await bob.get(`/v1/grants/${approved.grantId}`)).body).toEqual(shortened);
    const extension = (await schema.ask(
      asker,
      `extendGrant(id: "${approved.grantId}", input: $input)`,
      'AccessRequest',
      {
        input: ['ExtendGrant!', { durationMinutes: 5, reason: 'not done yet' }],
      },
    )) as { id: string };
    expect(extension).toMatchObject({ kind: 'extend', extendsId: approved.grantId });
    expect((await asker.get(`/v1/requests/${extension.id}`)).body).toEqual(extension);
    const revoked = await schema.ask(bob, `revokeGrant(id: "${approved.grantId}")`, 'Grant');
    expect((await bob.get(`/v1/grants/${approved.grantId}`)).body).toEqual(revoked);
    const denied = (await schema.ask(bob, `denyRequest(id: "${await request()}")`, 'AccessRequest')) as { id: string };
    expect((await bob.get(`/v1/requests/${denied.id}`)).body).toEqual(denied);
    const cancelled = (await schema.ask(asker, `cancelRequest(id: "${await request(asker)}")`, 'AccessRequest')) as {
      id: string;
    };
    expect((await asker.get(`/v1/requests/${cancelled.id}`)).body).toEqual(cancelled);
  });

  test('people', async () => {
    const { personId } = await ask(someone(usher, ['engineers']), orders);
    const person = await schema.ask(dave, `person(id: "${personId}")`, 'Person');
    expect((await dave.get(`/v1/people/${personId}`)).body).toEqual(person);
    const page = await schema.ask(dave, 'people(limit: 3)', 'PersonPage');
    expect((await dave.get('/v1/people?limit=3')).body).toEqual(page);
    const removed = await schema.ask(dave, `removePerson(id: "${personId}")`, 'Person');
    expect(removed).toEqual({ ...(person as object), removedAt: expect.any(String) });
    expect((await dave.get(`/v1/people/${personId}`)).body).toEqual(removed);
    expect(await schema.ask(dave, `restorePerson(id: "${personId}")`, 'Person')).toEqual(person);
  });

  test('a token: the same but for the secret and the time', async () => {
    const rest = await holder.post(`/v1/grants/${grant.grantId}/tokens`, {
      endpoint: 'reader',
    });
    const twin = (await schema.ask(
      holder,
      `mintToken(grantId: "${grant.grantId}", input: { endpoint: reader })`,
      'LoginToken',
    )) as Record<string, unknown>;
    const fixed = ({
      token: _,
      tokenLength: __,
      issuedAt: ___,
      expiresAt: ____,
      recipes,
      ...rest_
    }: Record<string, unknown>) => ({
      ...rest_,
      recipes: (recipes as { client: string }[]).map(({ client }) => client),
    });
    expect(fixed(twin)).toEqual(fixed(rest.body));
    expect(Object.keys(twin).sort()).toEqual(Object.keys(rest.body).sort());
  });

  test('a repeated one gives every field again, dates among them', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const input = graphqlTarget({ resourceId: 'cluster-AGAIN' });
    const call = () =>
      schema.ask(dave, 'createTarget(input: $input)', 'Target', { input: ['CreateTarget!', input] }, headers);
    const first = (await call()) as { id: string; createdAt: string };
    expect(first.createdAt).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(await call()).toEqual(first);
  });
});
