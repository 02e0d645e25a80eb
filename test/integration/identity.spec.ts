import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT, type CryptoKey, type JWK, type JWTPayload } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { TokenVerifierConfig } from '../../src/identity/identity.contract.ts';
import { bearerToken, TokenVerifier } from '../../src/identity/token-verifier.ts';
import { Clock } from '../../src/platform/clock.ts';
import { DomainError } from '../../src/platform/errors.ts';

class TestClock extends Clock {
  at = new Date('2026-03-10T10:00:00Z');
  override now(): Date {
    return this.at;
  }
  get seconds(): number {
    return this.at.getTime() / 1_000;
  }
  forward(seconds: number): void {
    this.at = new Date(this.at.getTime() + seconds * 1_000);
  }
}

/** A provider whose answers the tests can spoil. */
class Provider {
  readonly asked: string[] = [];
  keys: JWK[] = [];
  discovery: Record<string, unknown> = {};
  answer:
    ((path: string) => { status: number; body: string; headers?: Record<string, string> } | undefined) | undefined;
  #server: Server | undefined;
  #port = 0;

  get issuer(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    this.#server = createServer((request, response) => {
      const path = request.url ?? '';
      this.asked.push(path);
      const document =
        path === '/jwks'
          ? { keys: this.keys }
          : { issuer: this.issuer, jwks_uri: `${this.issuer}/jwks`, ...this.discovery };
      const { status, body, headers } = this.answer?.(path) ?? { status: 200, body: JSON.stringify(document) };
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close', ...headers }).end(body);
    });
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  }
}

const provider = new Provider();
const clock = new TestClock();
const pairs = new Map<string, { privateKey: CryptoKey; jwk: JWK }>();

function pair(kid: string): { privateKey: CryptoKey; jwk: JWK } {
  const found = pairs.get(kid);
  if (!found) throw new Error(`there is no key ${kid}`);
  return found;
}

async function addKey(alg: string, kid: string): Promise<void> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  pairs.set(kid, { privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } });
}

beforeAll(async () => {
  await Promise.all([
    addKey('RS256', 'rs'),
    addKey('ES256', 'es'),
    addKey('EdDSA', 'ed'),
    addKey('PS256', 'ps'),
    addKey('ES256', 'foreign'),
  ]);
  await provider.start();
});
afterAll(() => provider.stop());
beforeEach(() => {
  provider.keys = ['rs', 'es', 'ed', 'ps'].map((kid) => pair(kid).jwk);
  provider.discovery = {};
  provider.answer = undefined;
  provider.asked.length = 0;
});

const verifier = (config: Partial<TokenVerifierConfig> = {}) =>
  new TokenVerifier([{ issuer: provider.issuer, audience: 'usher', ...config }], clock);

const claims = (changed: Record<string, unknown> = {}): JWTPayload => ({
  iss: provider.issuer,
  aud: 'usher',
  sub: 'alice-1',
  iat: clock.seconds - 10,
  exp: clock.seconds + 600,
  email: 'alice@example.com',
  groups: ['engineers'],
  ...changed,
});

interface Signing {
  kid?: string;
  key?: string;
  header?: Record<string, unknown>;
}
const sign = (payload: JWTPayload, { kid = 'es', key = kid, header = {} }: Signing = {}): Promise<string> => {
  const { privateKey, jwk } = pair(key);
  return new SignJWT(payload)
    .setProtectedHeader({ alg: jwk.alg ?? '', kid, typ: 'at+jwt', ...header })
    .sign(privateKey);
};

async function refusalOf(verified: Promise<unknown>, token = ''): Promise<DomainError> {
  const error: unknown = await verified.then(
    () => new Error('it was accepted'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof DomainError)) throw error;
  expect(error.advice).toBeTruthy();
  const told = `${error.message} ${error.advice}`;
  for (const part of token.split('.')) if (part.length > 8) expect(told).not.toContain(part);
  return error;
}

describe('a good token', () => {
  test.each(['rs', 'es', 'ed', 'ps'])('signed with %s names the person', async (kid) => {
    expect(await verifier().verify(await sign(claims(), { kid }))).toEqual({
      issuer: provider.issuer,
      subject: 'alice-1',
      name: 'alice@example.com',
      email: 'alice@example.com',
      groups: ['engineers'],
    });
  });

  test.each([{ typ: 'JWT' }, { typ: 'application/at+jwt' }, { typ: 'AT+JWT' }, { typ: undefined }])(
    'with header %o',
    async (header) => {
      expect(await verifier().verify(await sign(claims(), { header }))).toMatchObject({ subject: 'alice-1' });
    },
  );

  test('for several audiences, with its groups elsewhere', async () => {
    const token = await sign(claims({ aud: ['other', 'usher'], realm_access: { roles: ['dba'] } }));
    expect(await verifier({ groupsClaim: 'realm_access.roles' }).verify(token)).toMatchObject({ groups: ['dba'] });
  });

  test('within the tolerance of the clocks', async () => {
    const token = await sign(claims({ iat: clock.seconds + 29, nbf: clock.seconds + 29, exp: clock.seconds - 29 }));
    expect(await verifier().verify(token)).toMatchObject({ subject: 'alice-1' });
  });

  test('keys are fetched once for many', async () => {
    const one = verifier();
    expect(provider.asked).toEqual([]);
    const tokens = await Promise.all(Array.from({ length: 5 }, (_, index) => sign(claims({ sub: `p${index}` }))));
    await Promise.all(tokens.map((token) => one.verify(token)));
    await one.verify(tokens[0]);
    expect(provider.asked).toEqual(['/.well-known/openid-configuration', '/jwks']);
  });
});

describe('a bad token', () => {
  const now = clock.seconds;
  test.each<[string, Record<string, unknown>, Signing, string, RegExp]>([
    ['expired', { exp: now - 31 }, {}, 'token_expired', /expired/],
    ['without exp', { exp: undefined }, {}, 'token_invalid', /has no exp/],
    ['without iat', { iat: undefined }, {}, 'token_invalid', /has no iat/],
    ['without sub', { sub: undefined }, {}, 'token_invalid', /has no sub/],
    ['issued in the future', { iat: now + 31 }, {}, 'token_invalid', /future/],
    ['not valid yet', { nbf: now + 31 }, {}, 'token_invalid', /not valid yet/],
    ['for another audience', { aud: 'portal' }, {}, 'token_invalid', /another audience/],
    ['without an audience', { aud: undefined }, {}, 'token_invalid', /aud/],
    ['of another issuer', { iss: 'https://evil.example' }, {}, 'token_invalid', /not issued by/],
    ['of nearly the same issuer', { iss: 'http://127.0.0.1:1/' }, {}, 'token_invalid', /not issued by/],
    ['signed with a foreign key', {}, { kid: 'foreign' }, 'token_invalid', /key of the provider/],
    ['that claims a key it was not signed with', {}, { kid: 'es', key: 'foreign' }, 'token_invalid', /wrong signature/],
    ['of another kind', {}, { header: { typ: 'logout+jwt' } }, 'token_invalid', /not an access token/],
    ['with control characters', { email: 'a\u0007@example.com' }, {}, 'token_invalid', /email/],
    ['whose exp is text', { exp: 'tomorrow' }, {}, 'token_invalid', /exp/],
    ['whose person signed in tomorrow', { auth_time: now + 31 }, {}, 'token_invalid', /auth_time in the future/],
  ])('%s', async (_, changed, signing, code, message) => {
    const token = await sign(claims(changed), signing);
    const refusal = await refusalOf(verifier().verify(token), token);
    expect(refusal).toMatchObject({ kind: 'unauthenticated', code });
    expect(refusal.message).toMatch(message);
  });

  test('unsigned, HMAC over the public key, altered, not allowed, encrypted, junk: refused without asking the provider', async () => {
    const one = verifier({ algorithms: ['RS256', 'ES256'] });
    const good = await sign(claims());
    const [head = '', body = '', signature = ''] = good.split('.');
    const hmacHead = Buffer.from(JSON.stringify({ alg: 'HS256', kid: 'rs' })).toString('base64url');
    const publicKey = JSON.stringify(pair('rs').jwk);
    const hmac = createHmac('sha256', publicKey).update(`${hmacHead}.${body}`).digest('base64url');
    const junk = [
      new UnsecuredJWT(claims()).encode(),
      `${hmacHead}.${body}.${hmac}`,
      await sign(claims(), { kid: 'ps' }),
      'abc',
      `${head}.${body}.${signature}.x.y`,
      await sign(claims({ padding: 'x'.repeat(17_000) })),
      'é.è.à',
    ];
    const reasons = [/not signed with one of/, /not signed with one of/, /not signed with one of/, /not a signed JWT/];
    reasons.push(/not a signed JWT/, /longer than 16384/, /not a signed JWT/);
    for (const [index, token] of junk.entries()) {
      const refusal = await refusalOf(one.verify(token), token);
      expect(refusal).toMatchObject({ kind: 'unauthenticated', code: 'token_invalid' });
      expect(refusal.message).toMatch(reasons[index] ?? /^$/);
    }
    expect(provider.asked).toEqual([]);
    for (const token of [
      `${head}.${body}.`,
      `${head}.${body}.AAAA`,
      `${head}.${Buffer.from(JSON.stringify(claims({ sub: 'bob' }))).toString('base64url')}.${signature}`,
    ]) {
      expect(await refusalOf(one.verify(token), token)).toMatchObject({ code: 'token_invalid' });
    }
  });

  test('a critical header that nobody understands', async () => {
    const { privateKey } = pair('es');
    const header = { alg: 'ES256', kid: 'es', crit: ['x'], x: 1 };
    const token = await new SignJWT(claims()).setProtectedHeader(header).sign(privateKey, { crit: { x: true } });
    expect(await refusalOf(verifier().verify(token), token)).toMatchObject({ code: 'token_invalid' });
  });

  test('none at all', async () => {
    expect(await refusalOf(verifier().verify(undefined))).toMatchObject({
      kind: 'unauthenticated',
      code: 'token_missing',
    });
    expect([undefined, '', 'Basic YTpi', 'Bearer', 'Bearer a b'].map((header) => bearerToken(header))).toEqual(
      Array(5).fill(undefined),
    );
    expect([bearerToken('Bearer abc'), bearerToken('bearer  abc')]).toEqual(['abc', 'abc']);
  });
});

describe('the client that a token was issued to', () => {
  const one = () => verifier({ authorizedParties: ['portal', 'cli'] });
  test.each([
    { azp: 'portal' },
    { client_id: 'cli' },
    { azp: 'portal', client_id: 'cli' },
    { azp: 'cli', aud: ['other', 'usher'] },
  ])('is accepted: %o', async (changed) => {
    expect(await one().verify(await sign(claims(changed)))).toMatchObject({ subject: 'alice-1' });
  });

  test.each<[Record<string, unknown>, RegExp]>([
    [{}, /does not say to which client/],
    [{ aud: ['other', 'usher'] }, /does not say to which client/],
    [{ azp: '' }, /does not say to which client/],
    [{ azp: 'other', aud: ['other', 'usher'] }, /client that is not accepted/],
    [{ azp: 'portal', client_id: 'other' }, /client that is not accepted/],
    [{ azp: ['portal'] }, /azp that is not text/],
    [{ azp: 'Portal' }, /client that is not accepted/],
  ])('is refused: %o', async (changed, says) => {
    const refusal = await refusalOf(one().verify(await sign(claims(changed))));
    expect(refusal).toMatchObject({ kind: 'unauthenticated', code: 'token_invalid' });
    expect(refusal.message).toMatch(says);
  });

  test('is of no matter where none is configured', async () => {
    expect(await verifier().verify(await sign(claims({ azp: 'anybody' })))).toMatchObject({ subject: 'alice-1' });
  });
});

describe('the provider', () => {
  test('down at the start: unavailable, and good as soon as it is back', async () => {
    const one = verifier();
    const token = await sign(claims());
    await provider.stop();
    const refusal = await refusalOf(one.verify(token), token);
    expect(refusal).toMatchObject({ kind: 'unavailable', code: 'identity_provider_unavailable' });
    await provider.start();
    expect(await refusalOf(one.verify(token))).toMatchObject({ kind: 'unavailable' });
    expect(provider.asked).toEqual([]);
    clock.forward(2);
    expect(await one.verify(token)).toMatchObject({ subject: 'alice-1' });
  });

  test('down later: known keys go on, even while junk makes it fetch', async () => {
    const one = verifier();
    const token = await sign(claims());
    await one.verify(token);
    await provider.stop();
    clock.forward(3_700);
    const fresh = await sign(claims());
    expect(await one.verify(fresh)).toMatchObject({ subject: 'alice-1' });
    await refusalOf(one.verify(await sign(claims(), { kid: 'foreign' })));
    expect(await one.verify(fresh)).toMatchObject({ subject: 'alice-1' });
    await provider.start();
  });

  test.each<[string, () => void]>([
    ['names another issuer', () => (provider.discovery = { issuer: 'https://evil.example' })],
    ['names its own issuer but for a slash', () => (provider.discovery = { issuer: `${provider.issuer}/` })],
    ['names no keys', () => (provider.discovery = { jwks_uri: undefined })],
    [
      'has its keys where anybody can change them',
      () => (provider.discovery = { jwks_uri: `${provider.issuer.replace('127.0.0.1', '0.0.0.0')}/jwks` }),
    ],
    ['has its keys in a file', () => (provider.discovery = { jwks_uri: 'file:///etc/passwd' })],
    ['answers 500', () => (provider.answer = () => ({ status: 500, body: '{}' }))],
    ['answers no JSON', () => (provider.answer = () => ({ status: 200, body: '<html>' }))],
    ['answers null', () => (provider.answer = () => ({ status: 200, body: 'null' }))],
    ['answers without end', () => (provider.discovery = { padding: 'x'.repeat(300_000) })],
    [
      'redirects',
      () =>
        (provider.answer = (path) =>
          path.startsWith('/.well-known') ? { status: 302, body: '', headers: { location: '/elsewhere' } } : undefined),
    ],
    [
      'has keys that are none',
      () => (provider.answer = (path) => (path === '/jwks' ? { status: 200, body: '[]' } : undefined)),
    ],
    [
      'has no keys today',
      () => (provider.answer = (path) => (path === '/jwks' ? { status: 503, body: '' } : undefined)),
    ],
  ])('%s: unavailable', async (_, spoil) => {
    spoil();
    const token = await sign(claims());
    expect(await refusalOf(verifier().verify(token), token)).toMatchObject({
      kind: 'unavailable',
      code: 'identity_provider_unavailable',
    });
  });

  test('down for hours: known keys are used for four, and then no more; a key that nobody knows is not said to be wrong', async () => {
    const one = verifier();
    await one.verify(await sign(claims()));
    await provider.stop();
    clock.forward(4 * 3_600 - 1);
    expect(await one.verify(await sign(claims()))).toMatchObject({ subject: 'alice-1' });
    const foreign = await refusalOf(one.verify(await sign(claims(), { kid: 'foreign' })));
    expect(foreign).toMatchObject({ code: 'identity_provider_unavailable' });
    clock.forward(1);
    const late = await refusalOf(one.verify(await sign(claims())));
    expect(late).toMatchObject({ code: 'identity_provider_unavailable' });
    await provider.start();
    clock.forward(2);
    expect(await one.verify(await sign(claims()))).toMatchObject({ subject: 'alice-1' });
  });

  test('new keys are found within half a minute, those taken back are forgotten within ten', async () => {
    const one = verifier();
    provider.keys = [pair('es').jwk];
    await one.verify(await sign(claims()));
    provider.keys = [pair('rs').jwk];
    const rotated = await sign(claims(), { kid: 'rs' });
    expect(await refusalOf(one.verify(rotated))).toMatchObject({ code: 'token_invalid' });
    clock.forward(30);
    expect(await one.verify(rotated)).toMatchObject({ subject: 'alice-1' });
    provider.keys = [pair('es').jwk];
    clock.forward(599);
    expect(await one.verify(await sign(claims(), { kid: 'rs' }))).toMatchObject({ subject: 'alice-1' });
    clock.forward(1);
    expect(await refusalOf(one.verify(await sign(claims(), { kid: 'rs' })))).toMatchObject({ code: 'token_invalid' });
  });

  test('made-up keys make one call in half a minute, however many they are', async () => {
    const one = verifier();
    await one.verify(await sign(claims()));
    provider.asked.length = 0;
    clock.forward(30);
    const junk = await Promise.all(
      Array.from({ length: 20 }, (_, index) => sign(claims(), { kid: 'es', header: { kid: `junk-${index}` } })),
    );
    for (const token of junk) await refusalOf(one.verify(token), token);
    expect(provider.asked).toEqual(['/jwks']);
  });

  test('an outage is not hammered', async () => {
    provider.answer = () => ({ status: 500, body: '' });
    const one = verifier();
    const token = await sign(claims());
    await Promise.all(Array.from({ length: 20 }, () => refusalOf(one.verify(token))));
    await refusalOf(one.verify(token));
    expect(provider.asked).toHaveLength(1);
  });
});

describe('a configuration that cannot be safe is refused at once', () => {
  test.each([
    [{ issuer: 'http://idp.example' }, /https/],
    [{ issuer: 'http://127.0.0.1.evil.example' }, /https/],
    [{ issuer: 'idp.example' }, /not a URL/],
    [{ issuer: 'https://idp.example/?tenant=1' }, /no query/],
    [{ issuer: 'https://user:pass@idp.example' }, /must not hold credentials/],
    [{ algorithms: ['RS256', 'none'] }, /algorithms/],
    [{ algorithms: ['HS256'] }, /algorithms/],
    [{ algorithms: [] }, /algorithms/],
    [{ audience: '' }, /audience/],
    [{ clockToleranceSeconds: Number.NaN }, /tolerance/],
  ])('%o', (config, message) => {
    expect(() => verifier(config)).toThrow(message);
  });

  test('no provider, or one twice', () => {
    expect(() => new TokenVerifier([], clock)).toThrow(/no provider/);
    const config = { issuer: provider.issuer, audience: 'usher' };
    expect(() => new TokenVerifier([config, { ...config, audience: 'other' }], clock)).toThrow(/same issuer/);
  });

  test('https, and http to this machine, are good', () => {
    for (const issuer of ['https://idp.example/realms/a', 'http://localhost:9000', 'http://[::1]:9000']) {
      expect(() => verifier({ issuer })).not.toThrow();
    }
  });
});
