import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startUsher, type Usher } from '../support/usher.ts';
import { person } from './stage.ts';

let usher: Usher;
beforeAll(async () => {
  usher = await startUsher();
});
afterAll(() => usher?.close());

describe('the main job', () => {
  test('ask, be approved, connect', async () => {
    // not alice herself: her login on this target may be that of another test file's alice, and a name is for one person
    const alice = person(usher, 'alice', ['engineers']);
    const [bob, dave] = [await usher.as('bob'), await usher.as('dave')];
    const { registration } = usher.standIn.targets.orders;
    const created = await dave.post<{ id: string }>('/v1/targets', registration.target);
    expect(created.body).toMatchObject({ name: 'orders' });
    expect(created.status).toBe(201);
    const profile = await dave.post<{ id: string }>(
      `/v1/targets/${created.body.id}/profiles`,
      registration.profiles[0],
    );
    expect(profile.body).toMatchObject({ name: 'reporting-read' });
    const ask = {
      targetId: created.body.id,
      profileId: profile.body.id,
      durationMinutes: 30,
      reason: 'read the orders',
    };
    const request = await alice.post<{ id: string; grantId: string | null; plan: unknown }>('/v1/requests', ask);
    expect(request.body).toMatchObject({ state: 'pending' });
    const own = await alice.post(`/v1/requests/${request.body.id}/approve`, {});
    expect([own.status, own.body['code']]).toEqual([403, 'own_request']);
    const approved = await bob.post<{ grantId: string }>(`/v1/requests/${request.body.id}/approve`, {
      comment: 'fine',
    });
    expect(approved.body).toMatchObject({ state: 'approved' });
    const grant = await alice.get(`/v1/grants/${approved.body.grantId}?wait=active`);
    expect(grant.body).toMatchObject({ state: 'active', login: alice.name, lastError: null });
    const token = await alice.post(`/v1/grants/${approved.body.grantId}/tokens`, {});
    expect(token.body).toMatchObject({ user: alice.name });
  });
});
