import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';
import { generateKeyPairSync } from 'node:crypto';
import { startOidc } from '../../local/oidc/server.ts';
import type { OidcStandIn } from '../../local/oidc/server.ts';

let oidc: OidcStandIn;
beforeAll(async () => {
  oidc = await startOidc();
});
afterAll(() => oidc.close());

/** As a careful resource server would: issuer, audience and algorithm all fixed. */
function verify(token: string) {
  return jwtVerify(token, createRemoteJWKSet(new URL(`${oidc.issuer}/jwks`)), {
    issuer: oidc.issuer,
    audience: 'usher',
    algorithms: ['RS256'],
  });
}

test('discovery names the issuer, the JWKS and the code flow with PKCE', async () => {
  const response = await fetch(`${oidc.issuer}/.well-known/openid-configuration`);
  expect(await response.json()).toMatchObject({
    issuer: oidc.issuer,
    jwks_uri: `${oidc.issuer}/jwks`,
    code_challenge_methods_supported: ['S256'],
    response_types_supported: expect.arrayContaining(['code']),
  });
});

test('the JWKS holds the public key and nothing private', async () => {
  const body = await (await fetch(`${oidc.issuer}/jwks`)).text();
  expect(body).toContain(oidc.keys.kid);
  for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi']) expect(body).not.toContain(`"${secret}":`);
});

describe('tokens by the flow', () => {
  test.each([
    ['alice', ['engineers']],
    ['bob', ['orders-owners', 'engineers']],
    ['carol', ['auditors']],
    ['dave', ['admins', 'billing-owners']],
  ])('%s gets a signed access token with groups', async (name, groups) => {
    const before = Math.floor(Date.now() / 1000);
    const { payload, protectedHeader } = await verify(await oidc.tokenFor(name));
    expect(protectedHeader).toMatchObject({ alg: 'RS256', typ: 'at+jwt', kid: oidc.keys.kid });
    expect(payload).toMatchObject({
      groups,
      email: `${name}@example.com`,
      preferred_username: name,
      client_id: 'usher',
      acr: 'urn:usher:local:mfa',
      amr: ['pwd', 'mfa'],
    });
    expect(payload.sub).toBe(oidc.people.find((person) => person.name === name)?.subject);
    expect(payload['auth_time']).toBeGreaterThanOrEqual(before);
    expect(Number(payload.exp) - Number(payload.iat)).toBe(3600);
  });

  test('a token made beside the flow has the same claims as one made by it', async () => {
    const { payload } = await verify(await oidc.tokenFor('alice'));
    const { payload: beside } = await verify(await oidc.tokenFor('alice', {}));
    expect(Object.keys(beside).sort()).toEqual(Object.keys(payload).sort());
    const timeless = (claims: object) => ({ ...claims, jti: '', iat: 0, exp: 0, auth_time: 0 });
    expect(timeless(beside)).toEqual(timeless(payload));
  });

  test('nobody unknown gets one', async () => {
    await expect(oidc.tokenFor('mallory')).rejects.toThrow('nobody called mallory');
  });

  test('without a login_hint a person chooses on a page', async () => {
    const query = new URLSearchParams({
      client_id: oidc.client.clientId,
      response_type: 'code',
      redirect_uri: oidc.client.redirectUri,
      scope: 'openid usher',
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
      code_challenge_method: 'S256',
    });
    const start = await fetch(`${oidc.issuer}/auth?${query}`, { redirect: 'manual' });
    const cookie = start.headers
      .getSetCookie()
      .map((line) => line.split(';', 1)[0])
      .join('; ');
    const page = await fetch(new URL(start.headers.get('location') ?? '', oidc.issuer), { headers: { cookie } });
    expect(await page.text()).toContain('?as=carol');
  });

  test('the flow is refused without PKCE', async () => {
    const query = new URLSearchParams({
      client_id: oidc.client.clientId,
      response_type: 'code',
      redirect_uri: oidc.client.redirectUri,
      scope: 'openid usher',
    });
    const answer = await fetch(`${oidc.issuer}/auth?${query}`, { redirect: 'manual' });
    expect(answer.headers.get('location')).toContain('error=invalid_request');
  });
});

describe('forgeries that the stand-in can make, a careful verifier refuses', () => {
  const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  test.each([
    ['expired', () => oidc.tokenFor('alice', { expiresIn: -60 }), errors.JWTExpired],
    ['for another audience', () => oidc.tokenFor('alice', { audience: 'else' }), errors.JWTClaimValidationFailed],
    ['of another issuer', () => oidc.tokenFor('alice', { issuer: 'http://evil' }), errors.JWTClaimValidationFailed],
    ['alg none', () => oidc.signWith(oidc.claimsOf('alice'), { alg: 'none' }), errors.JOSEAlgNotAllowed],
    [
      'HS256 with the public key',
      () => oidc.signWith(oidc.claimsOf('alice'), { alg: 'HS256' }),
      errors.JOSEAlgNotAllowed,
    ],
    [
      'of a foreign key',
      () => oidc.signWith(oidc.claimsOf('alice'), { key: foreign }),
      errors.JWSSignatureVerificationFailed,
    ],
  ])('%s', async (_what, forge, error) => {
    await expect(verify(await forge())).rejects.toBeInstanceOf(error);
  });

  test('claims can be changed and taken out', async () => {
    const { payload } = await verify(
      await oidc.tokenFor('alice', { claims: { groups: ['admins'], auth_time: undefined } }),
    );
    expect(payload['groups']).toEqual(['admins']);
    expect(payload).not.toHaveProperty('auth_time');
  });
});

test('starting and using the provider prints nothing', async () => {
  const printed = [vi.spyOn(console, 'warn'), vi.spyOn(console, 'info'), vi.spyOn(console, 'error')];
  const other = await startOidc({ accessTokenSeconds: 28_800 });
  try {
    const { payload } = await jwtVerify(
      await other.tokenFor('dave'),
      createRemoteJWKSet(new URL(`${other.issuer}/jwks`)),
    );
    expect(Number(payload.exp) - Number(payload.iat)).toBe(28_800);
    for (const spy of printed) expect(spy).not.toHaveBeenCalled();
  } finally {
    for (const spy of printed) spy.mockRestore();
    await other.close();
  }
});
