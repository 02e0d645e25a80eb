/** Tokens as the AWS CLI makes them, and as an independent SigV4 does. Needs `aws` (Debian: `apt-get install awscli`). */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { SigningCredentials } from '../../src/aws/secret.ts';
import { SignerService, signedAt } from '../../src/aws/signer.service.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const run = promisify(execFile);
const signer = new SignerService({ connectRoleName: 'none' });
const accessKeyId = 'AKIDEXAMPLE';
const secretAccessKey = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';

interface Login {
  host: string;
  port: number;
  user: string;
  region: string;
}

afterEach(() => {
  vi.useRealTimers();
});

/** Host and port, and the parameters by name: their order is nobody's business. */
const partsOf = (token: string): { place: string; parameters: Record<string, string> } => {
  const [place = '', query = ''] = token.split('/?');
  return { place, parameters: Object.fromEntries(new URLSearchParams(query)) };
};

const signAt = async (at: Date, login: Login, sessionToken?: string): Promise<string> => {
  vi.useFakeTimers({ toFake: ['Date'], now: at });
  const credentials = new SigningCredentials({ accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) });
  return (await signer.mintToken({ ...login, credentials })).token;
};

async function byCli({ host, port, user, region }: Login, sessionToken?: string): Promise<string> {
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: '/nonexistent',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    ...(sessionToken && { AWS_SESSION_TOKEN: sessionToken }),
  };
  const place = ['--hostname', host, '--port', String(port), '--region', region, '--username', user];
  const { stdout } = await run('aws', ['rds', 'generate-db-auth-token', ...place], { env });
  return stdout.trim();
}

const at = (host: string, user: string, region = 'eu-west-1', port = 5432): Login => ({ host, port, user, region });
const cluster = 'orders.cluster-abc123xyz.eu-west-1.rds.amazonaws.com';
const logins: readonly Login[] = [
  at(cluster, 'jane_doe'),
  at(cluster, 'JaneDoe'),
  at(cluster, 'jane.doe'),
  at(cluster, 'jane-doe'),
  at(cluster, '0jane'),
  at(cluster, 'jane@example.com'),
  at(cluster, 'jane+test'),
  at(cluster, "o'brien"),
  at(cluster, 'a~b_c'),
  at(cluster, 'a*b(c)!'),
  at(cluster, 'j'.repeat(63)),
  at(cluster, 'jane', 'eu-west-1', 15_432),
  at(cluster, 'jane', 'eu-west-1', 65_535),
  at('orders.cluster-ro-abc123xyz.eu-west-1.rds.amazonaws.com', 'jane'),
  at('billing.abc123xyz.us-east-2.rds.amazonaws.com', 'jane', 'us-east-2'),
  at('mydb.abc123xyz.rds.cn-north-1.amazonaws.com.cn', 'jane', 'cn-north-1'),
  at('mydb.abc123xyz.us-gov-west-1.rds.amazonaws.com', 'jane', 'us-gov-west-1'),
  at('front.proxy-abc123xyz.eu-west-1.rds.amazonaws.com', 'jane'),
  at('ro.endpoint.proxy-abc123xyz.eu-west-1.rds.amazonaws.com', 'jane'),
  at(`${'d'.repeat(63)}.abc123xyz.ap-southeast-4.rds.amazonaws.com`, 'jane', 'ap-southeast-4', 5433),
];
/** With all that must be encoded in a URL, as long as those of AssumeRole. */
const sessionToken = `IQoJb3JpZ2luX2Vj${'aB3+/'.repeat(140)}==`;

describe('a token is that of the AWS CLI', () => {
  beforeAll(async () => {
    await run('aws', ['--version']).catch((error: unknown) => {
      throw new Error('these tests need the AWS CLI: apt-get install awscli', { cause: error });
    });
  });

  test('there are 20 names and hosts', () => {
    expect(new Set(logins.map(({ host, port, user }) => `${user}@${host}:${port}`)).size).toBe(20);
  });

  test.each(logins)('$user at $host:$port', async (login) => {
    for (const session of [undefined, sessionToken]) {
      const theirs = await byCli(login, session);
      const ours = await signAt(signedAt(theirs), login, session);
      expect(partsOf(ours)).toEqual(partsOf(theirs));
      expect(partsOf(ours).parameters).toMatchObject({ DBUser: login.user, 'X-Amz-Expires': '900' });
    }
  });
});

interface Vector {
  in: { hostname: string; port: number; username: string; region: string };
  creds: { sessionToken?: string };
  clock: string;
  token: string;
}

/** Their signatures were computed anew by an independent SigV4. */
test('the golden vectors come out by parameters and signature', async () => {
  const file = new URL('../../local/aws/golden-token.json', import.meta.url);
  const vectors = JSON.parse(await readFile(file, 'utf8')) as Vector[];
  expect(vectors.length).toBeGreaterThanOrEqual(3);
  for (const { in: given, creds, clock, token } of vectors) {
    const login = { host: given.hostname, port: given.port, user: given.username, region: given.region };
    const ours = await signAt(new Date(clock), login, creds.sessionToken);
    expect(partsOf(ours)).toEqual(partsOf(token));
    expect(Object.keys(partsOf(ours).parameters)).toContain('X-Amz-Signature');
  }
});
