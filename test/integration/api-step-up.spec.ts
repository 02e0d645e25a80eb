import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultPolicyFile } from '../../src/policy/engine.js';
import {
  ask,
  askFor,
  auditLines,
  claimsOf,
  newName,
  open,
  register,
  rowCounts,
  type Registered,
} from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

const directory = mkdtempSync(join(tmpdir(), 'usher-step-up-'));
/** This company shows its AWS accounts only to who signed in with a key in the last five minutes. */
const company = `
@id("accounts-by-key")
@advice("Sign in with your security key.")
@max_age("300")
@acr_values("phrh phr")
forbid (principal, action == Usher::Action::"viewAccounts", resource)
unless { context has authAgeSeconds && context.authAgeSeconds <= 300 && context has acr && ["phrh", "phr"].contains(context.acr) };`;

let usher: Usher;
/** Tagged in AWS, as discovery would have found it. */
let target: Registered;

beforeAll(async () => {
  const file = join(directory, 'company.cedar');
  writeFileSync(file, readFileSync(defaultPolicyFile, 'utf8') + company);
  usher = await startUsher({ settings: { jobs: false }, env: { USHER_POLICY_FILE: file } });
  target = await register(usher, 'orders');
  await usher.database.owner.query(`UPDATE target SET tags = '{"usher:step-up":"yes"}' WHERE id = $1`, [
    target.targetId,
  ]);
});
afterAll(async () => {
  await usher?.close();
  rmSync(directory, { recursive: true });
});

const seconds = (ago: number): number => Math.floor(usher.clock.now().getTime() / 1_000) - ago;

/** The same person at any sign-in: a new token, with what it says of it. */
const signedIn = (name: string, groups: string[], signIn: Record<string, unknown>): Client =>
  usher.withToken(usher.standIn.oidc.signWith(claimsOf(usher, name, groups, signIn)));

const challenge = (parameters: string): RegExp =>
  new RegExp(
    `^Bearer realm="usher", error="insufficient_user_authentication", error_description="Policy asks for another sign-in [\\x20-\\x7e]+", ${parameters}$`,
  );

describe('a target that asks for a recent sign-in', () => {
  const name = newName();
  const stale = (): Client => signedIn(name, ['engineers'], { auth_time: seconds(901) });
  const recent = (): Client => signedIn(name, ['engineers'], { auth_time: seconds(60) });

  test('says so to whoever signed in long ago, with nothing changed and the refusal on record', async () => {
    await stale().get('/v1/targets');
    const before = await rowCounts(usher);
    for (const client of [stale(), signedIn(name, ['engineers'], { auth_time: undefined })]) {
      const { status, body, headers } = await client.post('/v1/requests', askFor(target));
      expect([status, body['code']]).toEqual([401, 'step_up_required']);
      expect(body).toMatchObject({
        type: 'urn:usher:problem:step_up_required',
        advice: expect.stringContaining('last 15 minutes'),
        stepUp: { maxAgeSeconds: 900 },
      });
      expect(headers.get('www-authenticate')).toMatch(challenge('max_age="900"'));
      expect(await auditLines(usher, String(body['correlationId']))).toMatchObject([
        {
          ...{ action: 'access.refused', outcome: 'refused', code: 'step_up_required', actor_kind: 'person' },
          details: { asked: 'request', message: expect.stringContaining('step-up-where-tagged') },
        },
      ]);
    }
    expect(await rowCounts(usher)).toEqual(before);
  });

  test('says the same in GraphQL', async () => {
    const { data, errors } = await stale().graphql(
      'mutation ($input: CreateRequest!) { createRequest(input: $input) { id } }',
      { input: askFor(target) },
    );
    expect(data).toBeNull();
    expect(errors?.[0]?.extensions).toMatchObject({
      ...{ code: 'step_up_required', status: 401, stepUp: { maxAgeSeconds: 900 } },
    });
  });

  test('lets in after it, with the very call and its Idempotency-Key', async () => {
    const headers = { 'idempotency-key': newName('key') };
    expect((await stale().post('/v1/requests', askFor(target), headers)).status).toBe(401);
    const answer = await recent().post('/v1/requests', askFor(target), headers);
    expect(answer.status).toBe(201);
  });

  test('asks for it at each token, but never where access is given up', async () => {
    const holder = newName();
    const alice = (ago: number): Client => signedIn(holder, ['engineers'], { auth_time: seconds(ago) });
    const { grantId } = await open(usher, alice(60), target);
    const refused = await alice(901).post(`/v1/grants/${grantId}/tokens`, {});
    expect([refused.status, refused.body['code']]).toEqual([401, 'step_up_required']);
    expect((await alice(60).post(`/v1/grants/${grantId}/tokens`, {})).status).toBe(201);
    const someoneElse = await signedIn(newName(), ['engineers'], { auth_time: seconds(901) }).post(
      `/v1/grants/${grantId}/tokens`,
      {},
    );
    expect([someoneElse.status, someoneElse.body['code']]).toEqual([404, 'grant_not_found']);
    expect((await alice(90_000).post(`/v1/grants/${grantId}/revoke`)).status).toBe(200);
  });

  test('asks whoever is to agree, and not whoever denies', async () => {
    const asked = await ask(signedIn(newName(), ['engineers'], { auth_time: seconds(60) }), target);
    const owner = newName();
    const bob = (ago: number): Client => signedIn(owner, ['orders-owners'], { auth_time: seconds(ago) });
    const refused = await bob(901).post(`/v1/requests/${asked.id}/approve`, {});
    expect([refused.status, refused.body['code']]).toEqual([401, 'step_up_required']);
    expect((await bob(901).post(`/v1/requests/${asked.id}/deny`, {})).status).toBe(200);
  });

  test('does not send anybody to sign in who would be refused all the same', async () => {
    const stranger = signedIn(newName(), ['marketing'], { auth_time: seconds(901) });
    const nothingPermits = await stranger.post('/v1/requests', askFor(target));
    expect([nothingPermits.status, nothingPermits.body['code']]).toEqual([403, 'policy_denied']);
    expect(nothingPermits.headers.get('www-authenticate')).toBeNull();
    expect(nothingPermits.body['advice']).not.toContain('sign in');
    await usher.database.owner.query('UPDATE target SET enabled = false WHERE id = $1', [target.targetId]);
    const alsoDisabled = await stale().post('/v1/requests', askFor(target));
    await usher.database.owner.query('UPDATE target SET enabled = true WHERE id = $1', [target.targetId]);
    expect([alsoDisabled.status, alsoDisabled.body['code']]).toEqual([403, 'policy_denied']);
    expect(alsoDisabled.body).not.toHaveProperty('stepUp');
  });
});

describe("a company's own rule", () => {
  const name = newName();
  const look = (signIn: Record<string, unknown>) => signedIn(name, ['admins'], signIn).get('/v1/accounts');

  test.each([
    ['too long ago', () => ({ auth_time: seconds(301), acr: 'phr' })],
    ['without a key', () => ({ auth_time: seconds(10), acr: 'pwd' })],
    ['of which the token says nothing', () => ({ auth_time: undefined, acr: undefined })],
  ])('is told whole: a sign-in %s', async (_, signIn) => {
    const { status, body, headers } = await look(signIn());
    expect([status, body['code']]).toEqual([401, 'step_up_required']);
    expect(headers.get('www-authenticate')).toMatch(challenge('max_age="300", acr_values="phrh phr"'));
    expect(body['stepUp']).toEqual({ maxAgeSeconds: 300, acrValues: ['phrh', 'phr'] });
  });

  test('lets in whoever does as it says', async () => {
    expect((await look({ auth_time: seconds(10), acr: 'phrh' })).status).toBe(200);
  });
});
