/** The mirror over real TLS: an HTTPS server with an authority of its own, which this process trusts, and one it does not. */
import { createHash, X509Certificate } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createAuthority, createRdsAuthority, type Authority } from '../../local/rds/authority.ts';
import { Jobs } from '../../src/platform/jobs/jobs.js';
import { TrustMirrorService } from '../../src/targets/trust-mirror.service.js';
import { TrustService } from '../../src/targets/trust.service.js';
import { MovedClock } from '../support/clock.ts';
import { known, newName } from '../support/people.ts';
import { freshDatabase, type TestDatabase } from '../support/state.ts';
import { startUsher, type Answer, type Usher, type UsherOptions } from '../support/usher.ts';
import { until } from '../support/until.ts';

const REGION = 'eu-west-1';
const web = createAuthority('Web of the tests');
const [first, second] = [createRdsAuthority(REGION), createAuthority(`Amazon RDS ${REGION} Root CA ECC384 G1`)];
const good = first.caPem;
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const fingerprint = (pem: string): string => new X509Certificate(pem).fingerprint256;

const before = getCACertificates('default');
const servers: Server[] = [];
let fetched: string[];
let body: string | undefined;

/** Answers everything with `body`; undefined: 503. */
async function https(authority: Authority): Promise<string> {
  const { certPem: cert, keyPem: key } = authority.server(['localhost']);
  const server = createServer({ cert, key }, (request, response) => {
    fetched.push(request.url ?? '');
    response.writeHead(body === undefined ? 503 : 200).end(body);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  const address = server.address();
  return `https://localhost:${typeof address === 'object' && address ? address.port : 0}/rds/`;
}

let from: string;
let clock: MovedClock;
let database: TestDatabase;
let usher: Usher;

const start = (env: Record<string, string> = {}, options: UsherOptions = {}): Promise<Usher> =>
  startUsher({
    work: false,
    ...{ database, clock, ...options },
    env: { USHER_TRUST_BUNDLES: '', USHER_TRUST_MIRROR_HOURS: '6', USHER_TRUST_MIRROR_FROM: from, ...env },
  });

beforeAll(async () => {
  setDefaultCACertificates([...before, web.caPem]);
  from = await https(web);
  clock = new MovedClock();
  database = await freshDatabase();
  usher = await start();
  const { target } = usher.standIn.targets.orders.registration;
  const dave = await known(usher, 'dave');
  expect((await dave.post('/v1/targets', { ...target, name: newName('mirror') })).status).toBe(201);
});
afterAll(async () => {
  await usher?.stop();
  await database?.drop();
  setDefaultCACertificates(before);
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});
beforeEach(() => {
  fetched = [];
  body = good;
});

const mirror = (): TrustMirrorService => usher.app.get(TrustMirrorService);
const tick = (hours = 0): Promise<void> => {
  clock.move(hours * 3_600_000);
  return mirror().tick();
};
const pem = (path = REGION, headers: Record<string, string> = {}, at = usher): Promise<Response> =>
  fetch(`${at.url}/v1/trust/bundles/${path}.pem`, { headers });
const state = async (name = REGION): Promise<Record<string, unknown>> => {
  const { body: list } = await (await known(usher, 'alice')).get<{ name: string }[]>('/v1/trust/mirror');
  return { ...list.find((one) => one.name === name) };
};
const record = async (): Promise<{ action: string; details: Record<string, unknown> }[]> => {
  const dave = await known(usher, 'dave');
  type Page = { items: { action: string; details: Record<string, unknown> }[] };
  const { body: page }: Answer<Page> = await dave.get<Page>('/v1/audit/events?limit=200');
  return page.items.filter(({ action, details }) => action.startsWith('trust.') && details['name'] === REGION);
};

describe('a bundle', () => {
  test('is not there before it was fetched', async () => {
    expect(await (await pem()).json()).toMatchObject({ status: 404, code: 'bundle_not_mirrored' });
    body = undefined;
    await mirror().refresh(REGION);
    const { problem } = await state();
    expect(problem).toMatch(/localhost:.* answered with 503/);
    // which is for people whom policy lets see it
    expect(JSON.stringify(await (await pem()).json())).not.toContain('localhost');
    clock.move(10 * 60_000);
  });

  test('is fetched once over TLS, from where the setting says, and on record', async () => {
    await tick();
    await tick(5);
    await tick(0);
    expect(fetched).toEqual([`/rds/${REGION}/${REGION}-bundle.pem`]);
    expect(await record()).toEqual([
      expect.objectContaining({
        action: 'trust.bundleChanged',
        details: {
          name: REGION,
          source: `${from}${REGION}/${REGION}-bundle.pem`,
          from: null,
          to: sha256(good),
          added: [`Amazon RDS ${REGION} Root CA RSA2048 G1 (stand-in) ${fingerprint(good)}`],
          removed: [],
        },
      }),
    ]);
  });

  test('is handed out to whoever asks, to the byte, with a strong ETag', async () => {
    const answer = await pem();
    expect(answer.status).toBe(200);
    expect(await answer.text()).toBe(good);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      etag: `"${sha256(good)}"`,
      'content-type': 'application/x-pem-file',
      'cache-control': 'public, max-age=3600, must-revalidate',
      'content-disposition': `attachment; filename="${REGION}-bundle.pem"`,
      'x-content-type-options': 'nosniff',
    });
  });

  test.each([
    ['the same', 304, () => `"${sha256(good)}"`],
    ['one of a list, made weak by a proxy', 304, () => `"x", W/"${sha256(good)}"`],
    ['anything', 304, () => '*'],
    ['another', 200, () => `"${sha256('x')}"`],
    ['the hash without its quotes', 200, () => sha256(good)],
  ])('to who has %s: %i', async (_, status, known_) => {
    const answer = await pem(REGION, { 'if-none-match': known_() });
    expect(answer.status).toBe(status);
    expect(await answer.text()).toBe(status === 304 ? '' : good);
    expect(answer.headers.get('etag')).toBe(`"${sha256(good)}"`);
  });

  test('is looked at again after the hours set, and nothing is on record when it is the same', async () => {
    const lines = (await record()).length;
    const { changedAt, checkedAt } = await state();
    await tick(6);
    expect(fetched).toHaveLength(1);
    const after = await state();
    expect(after).toMatchObject({ changedAt, problem: null });
    expect(Date.parse(String(after['checkedAt']))).toBeGreaterThan(Date.parse(String(checkedAt)));
    expect(await record()).toHaveLength(lines);
  });

  test('is documented as a file that needs no token', async () => {
    type Operation = { security?: unknown; responses: Record<string, { content?: object }> };
    const { body: document } = await usher
      .withToken(undefined)
      .get<{ paths: Record<string, { get: Operation }> }>('/openapi.json');
    const operation = document.paths['/v1/trust/bundles/{name}.pem']?.get;
    expect(operation?.security).toBeUndefined();
    expect(Object.keys(operation?.responses['200']?.content ?? {})).toEqual(['application/x-pem-file']);
  });

  test('is still the one page of JSON beside the file', async () => {
    const alice = await known(usher, 'alice');
    expect((await alice.get(`/v1/trust/bundles/${REGION}`)).body).toMatchObject({ region: REGION, partition: 'aws' });
  });
});

describe('what is not a bundle of authorities is refused, and the last good one stays', () => {
  const leaf = first.server(['db.example.com']).certPem.split(/(?<=-----END CERTIFICATE-----\n)/)[0] ?? '';
  const forged = (): string => {
    const bytes = Buffer.from(new X509Certificate(good).raw);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1; // the last byte of the signature
    return `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64')}\n-----END CERTIFICATE-----\n`;
  };
  test.each<[string, () => string]>([
    ['nothing', () => ''],
    ['a page to sign in', () => '<html>sign in to the wifi</html>'],
    ['the certificate of a server', () => good + leaf],
    ['an intermediate alone', () => first.server(['x']).certPem.slice(leaf.length)],
    ['a root whose signature is not its own', forged],
    ['a private key beside it', () => good + first.server(['x']).keyPem],
    ['markup beside it', () => `<script>1</script>\n${good}`],
  ])('%s', async (_, bad) => {
    body = bad();
    const lines = (await record()).length;
    await tick(6);
    expect(fetched).toHaveLength(1);
    expect(await (await pem()).text()).toBe(good);
    expect(await state()).toMatchObject({ sha256: sha256(good), problem: expect.stringContaining(from) });
    // on record once, however often it is tried
    await tick(1);
    expect(fetched).toHaveLength(2);
    const [newest, ...older] = await record();
    expect(newest).toMatchObject({ action: 'trust.bundleRefused', details: { kept: sha256(good) } });
    expect(older).toHaveLength(lines);
    body = good;
    await tick(1);
    expect(await state()).toMatchObject({ problem: null });
  });

  test('a root that is over', async () => {
    const then = clock.now().getTime();
    clock.move(45 * 365 * 86_400_000);
    await mirror().tick();
    clock.move(then - clock.now().getTime());
    const [newest] = await record();
    expect(newest?.details['problem']).toMatch(/no root that is still good/);
    await tick(1);
  });

  test('no answer: noted, and not on record, for it says nothing of the bundle', async () => {
    const lines = (await record()).length;
    body = undefined;
    await tick(6);
    expect(await state()).toMatchObject({ sha256: sha256(good), problem: expect.stringMatching(/answered with 503/) });
    expect(await record()).toHaveLength(lines);
  });
});

test('a new root is on record with what came and what went', async () => {
  body = `# both\n\n${good}${second.caPem}`;
  await tick(6);
  expect((await record())[0]).toMatchObject({
    action: 'trust.bundleChanged',
    details: {
      from: sha256(good),
      to: sha256(body),
      added: [`Amazon RDS ${REGION} Root CA ECC384 G1 ${fingerprint(second.caPem)}`],
      removed: [],
    },
  });
  expect((await pem(REGION, { 'if-none-match': `"${sha256(good)}"` })).status).toBe(200);
  body = good;
  await tick(6);
  expect((await record())[0]?.details).toMatchObject({ added: [], removed: [expect.stringContaining('ECC384')] });
});

test('the roots of Amazon Trust are handed out too, from those of Node', async () => {
  const text = await (await pem('amazon-trust')).text();
  expect(text.match(/BEGIN CERTIFICATE/g)?.length).toBeGreaterThan(3);
  expect(await state('amazon-trust')).toMatchObject({ source: 'node', sha256: sha256(text) });
});

test('GraphQL says of the mirror what REST says', async () => {
  const alice = await known(usher, 'alice');
  const fields = 'name path source sha256 changedAt checkedAt problem';
  const { data } = await alice.graphql<{ trustMirror: unknown }>(`{ trustMirror { ${fields} } }`);
  expect(data?.trustMirror).toEqual((await alice.get('/v1/trust/mirror')).body);
  expect(data?.trustMirror).toContainEqual(expect.objectContaining({ path: `/v1/trust/bundles/${REGION}.pem` }));
});

test('the state keeps no bundle of another hash, and the service can delete none', async () => {
  const { owner } = database;
  await expect(owner.query(`UPDATE mirrored_bundle SET pem = pem || ' '`)).rejects.toThrow(/mirrored_bundle_hash/);
  await expect(owner.query('UPDATE mirrored_bundle SET sha256 = NULL')).rejects.toThrow(/mirrored_bundle_whole/);
  await expect(usher.db.client.mirroredBundle.deleteMany()).rejects.toThrow(/denied/);
});

test.each([
  ['eu-west-2', 404, 'bundle_not_mirrored'],
  ['eu-west-9', 422, 'unknown_region'],
  ['..%2f..%2fetc%2fpasswd', 422, 'unknown_region'],
  ['__proto__', 422, 'unknown_region'],
])('of %s there is nothing to hand out: %i', async (name, status, code) => {
  expect(await (await pem(name)).json()).toMatchObject({ status, code, advice: expect.any(String) });
});

describe('another process on the same state', () => {
  test('hands out the last good one when nothing can be fetched', async () => {
    const cut = await start({ USHER_TRUST_MIRROR_FROM: 'https://localhost:1/' });
    try {
      await cut.app.get(TrustMirrorService).refresh(REGION);
      expect(await (await pem(REGION, {}, cut)).text()).toBe(good);
    } finally {
      await cut.stop();
    }
  });

  test('leaves out a region that nobody knows any more, and looks at the others', async () => {
    const elsewhere = { 'eusc-de-east-1': { partition: 'aws-eusc', pem: `${from}eusc.pem` } };
    const wider = await start({ USHER_TRUST_BUNDLES: JSON.stringify(elsewhere) });
    try {
      await wider.app.get(TrustMirrorService).tick();
      expect(fetched).toEqual(['/rds/eusc.pem']);
      expect((await pem('eusc-de-east-1', {}, wider)).status).toBe(200);
    } finally {
      await wider.stop();
    }
    fetched = [];
    await tick(6);
    expect(fetched).toEqual([`/rds/${REGION}/${REGION}-bundle.pem`]);
    expect((await pem('eusc-de-east-1')).status).toBe(422);
  });

  test('hands out nothing when the mirror is off', async () => {
    const off = await start({ USHER_TRUST_MIRROR_HOURS: '0' });
    try {
      expect(await (await pem(REGION, {}, off)).json()).toMatchObject({
        code: 'bundle_not_mirrored',
        advice: expect.stringContaining('USHER_TRUST_MIRROR_HOURS'),
      });
      await off.app.get(TrustMirrorService).tick();
      expect(fetched).toEqual([]);
    } finally {
      await off.stop();
    }
  });

  test('believes no server whose certificate nobody vouches for', async () => {
    const stranger = await start({ USHER_TRUST_MIRROR_FROM: await https(createAuthority('Nobody')) });
    try {
      await stranger.app.get(TrustMirrorService).refresh(REGION);
      expect(fetched).toEqual([]);
      expect(await state()).toMatchObject({
        sha256: sha256(good),
        problem: expect.stringMatching(/cannot be fetched/),
      });
    } finally {
      await stranger.stop();
    }
  });
});

test('Usher itself reaches targets by what is mirrored, and sends clients there', async () => {
  const fresh = await freshDatabase();
  const whole = await start(
    { USHER_TRUST_MIRROR_AT: 'https://usher.example.com' },
    { database: fresh, clock: new MovedClock(), work: true },
  );
  try {
    const { target, profiles } = whole.standIn.targets.orders.registration;
    const dave = await known(whole, 'dave');
    body = undefined;
    const { body: created } = await dave.post<{ id: string }>('/v1/targets', target);
    const profileOf = () => dave.post(`/v1/targets/${created.id}/profiles`, profiles[0]);
    expect((await profileOf()).body).toMatchObject({ status: 503, code: 'target_untrusted' });
    body = await (await fetch(whole.standIn.caUrl)).text();
    expect((await profileOf()).status).toBe(201);
    body = undefined;
    const place = { partition: 'aws', region: REGION, caIdentifier: 'rds-ca-rsa2048-g1', endpoints: [] };
    const endpoint = { kind: 'writer', connectHost: 'localhost', tokenHost: 'localhost' };
    const linkFor = (engineMode: string): string =>
      whole.app.get(TrustService).advice({ ...place, engineMode }, endpoint).caBundleUrl;
    expect(linkFor('provisioned')).toBe(`https://usher.example.com/v1/trust/bundles/${REGION}.pem`);
    expect(linkFor('serverless')).toBe('https://usher.example.com/v1/trust/bundles/amazon-trust.pem');
    const { rows } = await fresh.owner.query(`SELECT cron FROM pgboss.schedule WHERE name = 'trust-bundles'`);
    expect(rows).toEqual([{ cron: '* * * * *' }]);
    await whole.db.tx((tx) => whole.app.get(Jobs).enqueue(tx, 'trust-bundles', {}));
    await until('Amazon Trust is mirrored', async () => (await pem('amazon-trust', {}, whole)).status === 200);
  } finally {
    await whole.close();
  }
});
