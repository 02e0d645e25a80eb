/** Every recipe that can be executed here, as it is returned, at each kind of endpoint; and what must not connect, does not. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createAuthority } from '../../local/rds/authority.ts';
import { REGION, ACCOUNT } from '../../local/stand-in-account.ts';
import { SigningCredentials } from '../../src/aws/secret.ts';
import { SignerService } from '../../src/aws/signer.service.ts';
import { standIn, wrongCa } from '../support/stand-in.ts';
import { startUsher, type Usher } from '../support/usher.ts';
import { clients, Desk, needClients, urlOf, type Answer, type Client } from './recipe-clients.ts';
import { iamUser, known, mint, opened, person, type LoginToken, type Person, type Stage } from './stage.ts';

// Java is compiled and started for each of its recipes: seconds on a busy machine.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

const PROXY = 'prx-0123456789abcdef0';
const amazonTrust = createAuthority('Amazon Root CA 1 (stand-in)');
const kinds = ['writer', 'reader', 'custom', 'proxy'] as const;
type Kind = (typeof kinds)[number];
type Minted = LoginToken & Answer & { tokenHost: string; tokenPort: number; tls: { mode: string; authority: string } };

let usher: Usher;
let stage: Stage;
let desk: Desk;
let who: Person;
const doors: { close(): Promise<void> }[] = [];
/** A token for each kind of endpoint. */
const minted = {} as Record<Kind, Minted>;
let foreignUrl: string;

beforeAll(async () => {
  await needClients();
  desk = await Desk.open();
  const outside = await standIn();
  const { orders, billing } = outside.targets;
  const custom = await orders.rds.door({ to: 'reader' });
  const proxy = await billing.rds.door({
    to: 'instance',
    authority: amazonTrust,
    verify: (login) =>
      Promise.resolve(outside.aws.verifyToken(login.token, { ...login, region: REGION, resourceId: PROXY })),
  });
  doors.push(custom, proxy);
  const amazon = outside.aws.bundles.addBundle('amazon/AmazonRootCA1.pem', amazonTrust.caPem);
  foreignUrl = outside.aws.bundles.addBundle('recipes/foreign.pem', wrongCa);
  const trust = { [REGION]: { partition: 'aws', pem: outside.caUrl }, 'amazon-trust': { pem: amazon } };
  usher = await startUsher({
    env: { USHER_TRUST_BUNDLES: JSON.stringify(trust), USHER_SECRET_BEHIND_PROXY: await brokerToken() },
  });
  const dave = await known(usher, 'dave');
  stage = {
    url: usher.url,
    standIn: outside,
    targets: {
      orders: await register(dave, orders.registration, {
        endpoints: [
          ...orders.registration.target.endpoints,
          { kind: 'custom', connectHost: '127.0.0.1', tokenHost: 'localhost', port: custom.port },
        ],
      }),
      billing: await register(dave, billing.registration, {
        kind: 'rds-proxy',
        resourceId: PROXY,
        brokerSecret: 'env:USHER_SECRET_BEHIND_PROXY',
        endpoints: [
          ...billing.registration.target.endpoints,
          { kind: 'proxy', connectHost: 'localhost', tokenHost: 'localhost', port: proxy.port },
        ],
      }),
    },
  };
  who = person(stage, 'cook', ['engineers']);
  const grants = {
    orders: await opened(stage, who, { target: 'orders' }),
    billing: await opened(stage, who, { target: 'billing' }),
  };
  for (const kind of kinds)
    minted[kind] = (await mint(who, grants[kind === 'proxy' ? 'billing' : 'orders'].id, { endpoint: kind })) as Minted;
});
afterAll(async () => {
  await usher?.close();
  for (const door of doors) await door.close();
  await desk?.clear();
});

/** The way into a database behind a proxy is a secret of the broker's own; its login takes tokens, so the secret is one. */
async function brokerToken(): Promise<string> {
  const { aws, targets } = await standIn();
  const name = `proxy-broker-${process.pid}`;
  const arn = `arn:aws:rds-db:${REGION}:${ACCOUNT}:dbuser:${targets.billing.resourceId}/usher_broker`;
  aws.iam.putInline(aws.iam.createUser(name), 'connect', {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: 'rds-db:connect', Resource: arn }],
  });
  const credentials = new SigningCredentials(aws.iam.createAccessKey(name));
  const port = targets.billing.endpoints[0]?.port ?? 0;
  const signer = new SignerService({ connectRoleName: 'none' });
  return (await signer.mintToken({ host: 'localhost', port, region: REGION, user: 'usher_broker', credentials })).token;
}

async function register(
  dave: Person,
  { target, profiles }: { target: object; profiles: readonly { name: string }[] },
  change: object,
): Promise<Stage['targets']['orders']> {
  const answer = await dave.post<{ id: string }>('/v1/targets', { ...target, ...change });
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  const { id } = answer.body;
  const ids: Record<string, string> = {};
  for (const profile of profiles)
    ids[profile.name] = (await dave.post<{ id: string }>(`/v1/targets/${id}/profiles`, profile)).body.id;
  return { id, profiles: ids };
}

const textOf = (answer: Pick<LoginToken, 'recipes'>, name: string): string =>
  answer.recipes.find(({ client }) => client === name)?.text ?? '';

/** A change that changes nothing is a mistake of the test. */
function altered(text: string, [from, to]: readonly [string, string]): string {
  const changed = text.replace(from, to);
  expect(changed).not.toBe(text);
  return changed;
}

describe.each(kinds)('at a %s endpoint', (kind) => {
  test('the token is for the name that can be signed for, and the authority the right one', () => {
    const { tokenHost, tokenPort, tls, port } = minted[kind];
    const writer = minted.writer.port;
    expect({ tokenHost, tokenPort }).toEqual({ tokenHost: 'localhost', tokenPort: kind === 'custom' ? writer : port });
    expect(tls).toMatchObject({ mode: 'verify-full', authority: kind === 'proxy' ? 'amazon-trust' : 'rds' });
  });

  test.each(clients)('$name connects as the person by what is returned', async ({ name, run }) => {
    const answer = minted[kind];
    await desk.saveBundle(answer);
    const { code, stdout, stderr } = await run(desk, textOf(answer, name), answer.token);
    expect({ code, stdout, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stdout: answer.user, stderr: '' });
  });
});

test.each(kinds)('SQL Workbench/J hands pgjdbc what DBeaver hands it, at a %s endpoint', (kind) => {
  const [one, other] = ['sql-workbench', 'dbeaver'].map((name) => textOf(minted[kind], name));
  expect(urlOf(one ?? '')).toMatch(/^jdbc:postgresql:/);
  expect(urlOf(one ?? '')).toBe(urlOf(other ?? ''));
});

describe.each(clients)('$name does not connect', (client: Client) => {
  const refused = async (text: string, answer: Minted, why: RegExp): Promise<void> => {
    const ran = await client.run(desk, text, answer.token);
    expect(ran).toMatchObject({ stdout: '', stderr: expect.stringMatching(why) as string });
    expect(ran.code).not.toBe(0);
  };

  test.each(['writer', 'proxy'] as const)('where somebody else signed the certificate: %s', async (kind) => {
    const answer = minted[kind];
    await desk.saveBundle(answer, wrongCa);
    const text = textOf(answer, client.name);
    const { caBundleUrl } = answer.tls;
    await refused(client.downloads ? altered(text, [caBundleUrl, foreignUrl]) : text, answer, /certificat|PKIX/i);
  });

  test('under a name that is not in the certificate', async () => {
    const answer = minted.reader;
    await desk.saveBundle(answer);
    const why = /does not match|could not be verified|Hostname\/IP|not in the cert's list/i;
    await refused(altered(textOf(answer, client.name), client.otherName), answer, why);
  });

  test('without TLS', async () => {
    const answer = minted.writer;
    await desk.saveBundle(answer);
    await refused(altered(textOf(answer, client.name), client.withoutTls), answer, /no encryption/);
  });
});

describe('a custom endpoint', () => {
  test.each([
    ['psql', 'host=localhost', 'host=other.example'],
    ['psycopg2', 'host="localhost"', 'host="other.example"'],
    ['node-postgres', 'checkServerIdentity("localhost"', 'checkServerIdentity("other.example"'],
    ['jdbc', 'verify("localhost"', 'verify("other.example"'],
  ])('is held to the name of the writer by %s', async (name, from, to) => {
    const answer = minted.custom;
    await desk.saveBundle(answer);
    const client = clients.find((one) => one.name === name);
    const ran = await client?.run(desk, altered(textOf(answer, name), [from, to]), answer.token);
    expect(ran).toMatchObject({
      stdout: '',
      stderr: expect.stringMatching(/other\.example|could not be verified/) as string,
    });
  });
});

describe('a trust store of Java', () => {
  test('is made by the recipe, and verifies with it alone', async () => {
    const answer = minted.writer;
    await desk.saveBundle(answer);
    const made = await desk.shell(textOf(answer, 'jdbc-truststore'), {}, '');
    expect(made).toMatchObject({ code: 0 });
    const settings = `${made.stdout}\nUsername: ${answer.user}`;
    const options = /^Java options: (.*)$/m.exec(made.stdout)?.[1]?.split(' ') ?? [];
    expect(options).toHaveLength(3);
    expect(await desk.url(settings, answer.token, options.map(atHome))).toMatchObject({ code: 0, stdout: answer.user });
    const without = await desk.url(settings, answer.token);
    expect(without).toMatchObject({ stdout: '', stderr: expect.stringMatching(/PKIX/) as string });
  });

  const atHome = (option: string): string => option.replace('$HOME', desk.home);
});

describe('in attached mode', () => {
  test('the AWS CLI signs what the recipes connect with, and nothing is for others', async () => {
    const iam = iamUser(stage, `recipes-${process.pid}`);
    const own = person(stage, 'alone', ['engineers'], { aws_principal: iam.arn });
    const grant = await opened(stage, own, { target: 'orders', mode: 'attached' });
    const keys = {
      AWS_ACCESS_KEY_ID: iam.accessKeyId,
      AWS_SECRET_ACCESS_KEY: iam.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: 'true',
    };
    for (const endpoint of ['reader', 'custom']) {
      const { status, body } = await own.get<Minted>(`/v1/grants/${grant.id}/recipes?endpoint=${endpoint}`);
      expect(status).toBe(200);
      for (const name of ['psql', 'libpq-service'])
        expect(await desk.shell(textOf(body, name), keys)).toMatchObject({ code: 0, stdout: grant.login });
      const { stdout: token } = await desk.shell(textOf(body, 'aws-cli'), keys, '');
      expect(token).toContain(`localhost:${body.tokenPort}/?`);
      await desk.saveBundle(body);
      expect(await desk.python(textOf(body, 'psycopg2'), token)).toMatchObject({ code: 0, stdout: grant.login });
    }
    const stranger = await who.get(`/v1/grants/${grant.id}/recipes`);
    expect(stranger).toMatchObject({ status: 404, body: { code: 'grant_not_found' } });
  });
});
