import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createAuthority } from '../../local/rds/authority.ts';
import { Clock } from '../../src/platform/clock.ts';
import { TrustStore } from '../../src/targets/trust-store.ts';
import type { TrustOverride } from '../../src/targets/trust.ts';

const region = 'eu-west-1';
const authority = createAuthority('Amazon RDS eu-west-1 Root CA RSA2048 G1');
const second = createAuthority('Amazon RDS eu-west-1 Root CA ECC384 G1');

class HandClock extends Clock {
  at = new Date('2025-01-01T00:00:00Z').getTime();
  now(): Date {
    return new Date(this.at);
  }
}

let server: Server;
let base: string;
let directory: string;
let fetches: number;
let clock: HandClock;
/** What the next fetches are answered with; undefined: nothing, ever. */
let answer: { status: number; body: string; headers?: Record<string, string> } | undefined;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'usher-trust-'));
  server = createServer((_request, response) => {
    fetches += 1;
    if (answer) response.writeHead(answer.status, answer.headers).end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  base = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
});
beforeEach(() => {
  fetches = 0;
  clock = new HandClock();
  answer = { status: 200, body: authority.caPem };
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(directory, { recursive: true });
});

const store = (override: Partial<TrustOverride> = {}, timeoutMs = 2_000) =>
  new TrustStore({ overrides: { [region]: { pem: `${base}/bundle.pem`, ...override } }, timeoutMs }, clock);
const untrusted = { kind: 'unavailable', code: 'target_untrusted' };

describe('fetching', () => {
  test('once for many callers, then from memory for 24 hours', async () => {
    answer = { status: 200, body: `${authority.caPem}\n# a comment\n${second.caPem}` };
    const trust = store();
    const [bundle] = await Promise.all([trust.forRegion('aws', region), trust.forRegion('aws', region)]);
    clock.at += 86_399_000;
    expect(await trust.forRegion('aws', region)).toBe(bundle);
    expect(fetches).toBe(1);
    expect(bundle.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(bundle.authorities.map(({ identifier }) => identifier)).toEqual(['rds-ca-rsa2048-g1', 'rds-ca-ecc384-g1']);
    expect(bundle.authorities[0]?.expiresAt.getTime()).toBeGreaterThan(Date.now());
    clock.at += 2_000;
    expect((await trust.forRegion('aws', region)).loadedAt).toEqual(clock.now());
    expect(fetches).toBe(2);
  });

  test('a failed refresh leaves what was known', async () => {
    const trust = store();
    const bundle = await trust.forRegion('aws', region);
    clock.at += 86_400_000;
    answer = { status: 500, body: '' };
    expect(await trust.forRegion('aws', region)).toBe(bundle);
  });

  test('a failure is not remembered', async () => {
    const trust = store();
    answer = { status: 404, body: '' };
    await expect(trust.forRegion('aws', region)).rejects.toMatchObject(untrusted);
    answer = { status: 200, body: authority.caPem };
    expect((await trust.forRegion('aws', region)).pem).toContain('BEGIN CERTIFICATE');
  });

  test.each([
    ['an error page', { status: 403, body: authority.caPem }],
    ['nothing', { status: 200, body: '' }],
    ['a page', { status: 200, body: '<html>sign in to the wifi</html>' }],
    ['a leaf', { status: 200, body: authority.caPem + createAuthority('x').server(['db.example.com']).certPem }],
    ['garbage', { status: 200, body: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' }],
    ['too much', { status: 200, body: authority.caPem + ' '.repeat(2 * 1024 * 1024) }],
    ['a redirect', { status: 302, body: '', headers: { location: 'https://example.com/' } }],
  ])('%s is not trusted', async (_, given) => {
    answer = given;
    await expect(store().forRegion('aws', region)).rejects.toMatchObject(untrusted);
  });

  test('an answer that never comes is not waited for', async () => {
    answer = undefined;
    await expect(store({}, 50).forRegion('aws', region)).rejects.toMatchObject(untrusted);
  });
});

describe('a file', () => {
  test('is read instead of fetching', async () => {
    const file = join(directory, 'ca.pem');
    await writeFile(file, authority.caPem);
    expect(await store({ file }).forRegion('aws', region)).toMatchObject({ source: file });
    expect(fetches).toBe(0);
  });

  test('that is missing is not replaced by a fetch', async () => {
    await expect(store({ file: join(directory, 'no.pem') }).forRegion('aws', region)).rejects.toMatchObject(untrusted);
    expect(fetches).toBe(0);
  });
});

describe('Amazon Trust Services', () => {
  test('come from the roots of Node', async () => {
    const { authorities } = await store().amazonTrust();
    const names = authorities.map(({ commonName }) => commonName);
    expect(names).toEqual(expect.arrayContaining(['Amazon Root CA 1', 'Amazon Root CA 4']));
    expect(names.every((name) => /^(?:Amazon|Starfield Services)/.test(name))).toBe(true);
    expect(fetches).toBe(0);
  });

  test('are those that the operator configured, and then no others', async () => {
    const overrides = { 'amazon-trust': { pem: `${base}/amazon.pem` } };
    const { authorities } = await new TrustStore({ overrides }, clock).amazonTrust();
    expect(authorities.map(({ commonName }) => commonName)).toEqual(['Amazon RDS eu-west-1 Root CA RSA2048 G1']);
  });
});

test('an unknown region is refused before anything is fetched', async () => {
  await expect(store().forRegion('aws', 'eu-west-9')).rejects.toMatchObject({ code: 'unknown_region' });
  expect(fetches).toBe(0);
});
