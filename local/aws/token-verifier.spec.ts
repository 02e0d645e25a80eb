import { readFileSync } from 'node:fs';
import { Signer } from '@aws-sdk/rds-signer';
import { describe, expect, test } from 'vitest';
import type { Credential, SessionKey, UserKey } from './credentials.ts';
import type { Decision, Question } from './policy-evaluator.ts';
import { encodeRfc3986, sha256, signatureOf } from './signature-v4.ts';
import { verifyToken } from './token-verifier.ts';
import type { ExpectedLogin, TokenAuthority, TokenVerdict, VerifierSwitches } from './token-verifier.ts';

interface GoldenToken {
  in: { hostname: string; port: number; username: string; region: string };
  creds: { accessKeyId: string; sessionToken?: string };
  clock: string;
  token: string;
}
const golden = JSON.parse(readFileSync(new URL('golden-token.json', import.meta.url), 'utf8')) as GoldenToken[];

/** The secret of AWS' own documentation, with which the vectors were made. */
const secretAccessKey = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const signedAt = new Date('2025-01-02T03:04:05Z');
const login: ExpectedLogin = {
  host: 'mydb.cluster-abc123.eu-west-1.rds.amazonaws.com',
  port: 5432,
  user: 'jane_doe',
  region: 'eu-west-1',
  resourceId: 'cluster-ABC',
};

const userKey: UserKey = {
  kind: 'user',
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey,
  userName: 'jane',
  status: 'Active',
  createdAt: signedAt,
};
const sessionKey = (sessionToken: string, expiresAt = new Date('2025-01-02T04:00:00Z')): SessionKey => ({
  kind: 'session',
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey,
  sessionToken,
  expiresAt,
  session: {
    arn: 'arn:aws:sts::123456789012:assumed-role/connect/jane',
    roleArn: 'arn:aws:iam::123456789012:role/connect',
    roleName: 'connect',
    sessionName: 'jane',
    userId: 'AROA:jane',
    sourceIdentity: undefined,
    tags: {},
    policies: undefined,
    issuedAt: signedAt,
  },
});

interface World {
  key?: Credential | undefined;
  now?: Date;
  decision?: Decision;
  asked?: Question[];
}
function authority(world: World): TokenAuthority {
  const key = 'key' in world ? world.key : userKey;
  return {
    accountId: '123456789012',
    now: () => world.now ?? signedAt,
    findKey: (id) => (id === key?.accessKeyId ? key : undefined),
    principalOf: (credential) =>
      credential.kind === 'session' ? credential.session.arn : 'arn:aws:iam::123456789012:user/jane',
    decide: (_credential, question) => {
      world.asked?.push(question);
      return world.decision ?? { outcome: 'allowed' };
    },
  };
}
const judge = (token: string, world: World = {}, expected = login, switches: VerifierSwitches = {}): TokenVerdict =>
  verifyToken(token, expected, authority(world), switches);

const plain = golden[0]?.token ?? '';
const withSession = golden[1]?.token ?? '';
const sessionToken = golden[1]?.creds.sessionToken ?? '';

/** The plain token with parameters changed and signed anew, as only a holder of the secret can. */
function resigned(change: Record<string, string>, host = `${login.host}:${login.port}`): string {
  const parameters = new URLSearchParams(plain.slice(plain.indexOf('?') + 1));
  parameters.delete('X-Amz-Signature');
  for (const [name, value] of Object.entries(change)) parameters.set(name, value);
  const amzDate = parameters.get('X-Amz-Date') ?? '';
  const [accessKeyId = '', date = '', region = '', service = ''] = (parameters.get('X-Amz-Credential') ?? '').split(
    '/',
  );
  const query = [...parameters];
  const request = { method: 'GET', path: '/', query, headers: [['host', host] as const], payloadHash: sha256('') };
  const signature = signatureOf(request, { accessKeyId, date, region, service }, amzDate, secretAccessKey);
  const text = [...query, ['X-Amz-Signature', signature] as const]
    .map(([name, value]) => `${encodeRfc3986(name)}=${encodeRfc3986(value)}`)
    .join('&');
  return `${host}/?${text}`;
}

describe('tokens that are good', () => {
  test.each(golden.map((vector) => [vector.in.username, vector] as const))('golden vector of %s', (_user, vector) => {
    const key = vector.creds.sessionToken === undefined ? userKey : sessionKey(vector.creds.sessionToken);
    const { hostname, port, username, region } = vector.in;
    const expected = { host: hostname, port, user: username, region, resourceId: 'db-X' };
    expect(judge(vector.token, { key, now: new Date(vector.clock) }, expected)).toMatchObject({ ok: true });
  });

  test('in whatever order the parameters come', () => {
    const [head = '', query = ''] = plain.split('?');
    expect(judge(`${head}?${query.split('&').reverse().join('&')}`)).toMatchObject({ ok: true });
  });

  test('signed anew by a holder of the key, shorter-lived', () => {
    expect(judge(resigned({ 'X-Amz-Expires': '60' }))).toMatchObject({ ok: true });
  });

  test('until the last second of 900, and up to 300 s early', () => {
    const at = (seconds: number) => judge(plain, { now: new Date(signedAt.getTime() + seconds * 1000) }).ok;
    expect([-301, -300, 0, 900, 901].map(at)).toEqual([false, true, true, true, false]);
  });

  test('from the signer of the AWS SDK', async () => {
    const now = new Date();
    const signer = new Signer({
      hostname: login.host,
      port: login.port,
      username: login.user,
      region: login.region,
      credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey, sessionToken },
    });
    const key = sessionKey(sessionToken, new Date(now.getTime() + 3_600_000));
    expect(judge(await signer.getAuthToken(), { key, now: new Date() })).toEqual({
      ok: true,
      principal: key.session.arn,
    });
  });
});

const change = (from: string | RegExp, to: string) => {
  const changed = plain.replace(from, to);
  if (changed === plain) throw new Error(`nothing to change: ${from}`);
  return changed;
};

describe('tokens that are refused as InvalidToken', () => {
  const flipped = plain.replace(
    /(X-Amz-Signature=)(.)/,
    (_all, name: string, digit: string) => name + (digit === '0' ? '1' : '0'),
  );
  test.each<[string, string, string]>([
    ['empty', '', 'empty'],
    ['with https://', `https://${plain}`, 'form'],
    ['with a trailing newline', `${plain}\n`, 'form'],
    ['with a leading blank', ` ${plain}`, 'form'],
    ['cut off in the middle', plain.slice(0, 200), 'no value'],
    ['cut off in the signature', plain.replace(/(X-Amz-Signature=[0-9a-f]{20})[0-9a-f]+/, '$1'), 'signature'],
    ['endless', plain + 'x'.repeat(20_000), 'too long'],
    ['a flipped digit of the signature', flipped, 'signature'],
    ['another user', change('DBUser=jane_doe', 'DBUser=root'), 'another user'],
    ['another date', change('T030405Z', 'T030406Z'), 'signature'],
    ['a date that disagrees with its scope', change('X-Amz-Date=20250102', 'X-Amz-Date=20250103'), 'dates'],
    ['a moment that does not exist', change('T030405Z', 'T036105Z'), 'X-Amz-Date'],
    ['shorter expiry, not signed', change('Expires=900', 'Expires=899'), 'signature'],
    ['longer expiry', change('Expires=900', 'Expires=901'), 'X-Amz-Expires'],
    ['longer expiry, signed', resigned({ 'X-Amz-Expires': '3600' }), 'X-Amz-Expires'],
    ['an expiry that is no number', change('Expires=900', 'Expires=9e2'), 'X-Amz-Expires'],
    ['one parameter more', `${plain}&X=1`, 'too many'],
    ['one parameter more, signed', resigned({ X: '1' }), 'too many'],
    ['one parameter twice', `${plain}&DBUser=jane_doe`, 'twice'],
    ['the session token twice', `${plain}&X-Amz-Security-Token=a&X-Amz-Security-Token=a`, 'twice'],
    ['one parameter less', change('&X-Amz-Expires=900', ''), 'missing'],
    ['another action, signed', resigned({ Action: 'describe' }), 'Action'],
    ['another algorithm, signed', resigned({ 'X-Amz-Algorithm': 'none' }), 'Algorithm'],
    ['other headers, signed', resigned({ 'X-Amz-SignedHeaders': 'host;x' }), 'SignedHeaders'],
    ['for another host', resigned({}, 'other.eu-west-1.rds.amazonaws.com:5432'), 'another host'],
    ['for another port', resigned({}, `${login.host}:5433`), 'another port'],
    ['for a port with a leading zero', resigned({}, `${login.host}:05432`), 'another port'],
    [
      'for another region, signed',
      resigned({ 'X-Amz-Credential': 'AKIDEXAMPLE/20250102/us-east-1/rds-db/aws4_request' }),
      'another region',
    ],
    [
      'for another service, signed',
      resigned({ 'X-Amz-Credential': 'AKIDEXAMPLE/20250102/eu-west-1/rds/aws4_request' }),
      'another service',
    ],
    ['encoded twice', plain.replaceAll('%', '%25'), 'X-Amz-Credential'],
    ['not encoded', plain.replaceAll('%2F', '/'), 'percent-encoded'],
    ['a broken escape', change('%2F', '%zz'), 'percent-encoded'],
    ['a session token that the key has not', withSession, 'session token'],
  ])('%s', (_what, token, reason) => {
    expect(judge(token)).toEqual({ ok: false, code: 'InvalidToken', reason: expect.stringContaining(reason) });
  });

  test.each<[string, string, World, string]>([
    ['an unknown key', plain, { key: undefined }, 'not known'],
    ['an inactive key', plain, { key: { ...userKey, status: 'Inactive' } }, 'inactive'],
    ['another secret', plain, { key: { ...userKey, secretAccessKey: 'other' } }, 'signature'],
    ['no session token', plain, { key: sessionKey(sessionToken) }, 'missing'],
    ['the session token of another', withSession, { key: sessionKey('other') }, 'does not belong'],
  ])('%s', (_what, token, world, reason) => {
    expect(judge(token, world)).toEqual({ ok: false, code: 'InvalidToken', reason: expect.stringContaining(reason) });
  });
});

describe('what is checked after the signature', () => {
  test('credentials that ended before the token', () => {
    const key = sessionKey(sessionToken, new Date(signedAt.getTime() + 60_000));
    const at = (seconds: number) => judge(withSession, { key, now: new Date(signedAt.getTime() + seconds * 1000) });
    expect(at(59)).toMatchObject({ ok: true });
    expect(at(60)).toEqual({ ok: false, code: 'ExpiredToken', reason: expect.stringContaining('credentials') });
  });

  test('an old token is expired, a forged old one is invalid', () => {
    const now = new Date('2025-01-02T04:00:00Z');
    expect(judge(plain, { now })).toMatchObject({ code: 'ExpiredToken' });
    expect(judge(change('DBUser=jane_doe', 'DBUser=root'), { now })).toMatchObject({ code: 'InvalidToken' });
  });

  test('IAM is asked about the very resource, with the time and never with an address', () => {
    const asked: Question[] = [];
    judge(plain, { asked });
    judge(plain, { asked }, login, { currentTime: false });
    expect(asked).toEqual([
      {
        action: 'rds-db:connect',
        resource: 'arn:aws:rds-db:eu-west-1:123456789012:dbuser:cluster-ABC/jane_doe',
        context: { 'aws:CurrentTime': '2025-01-02T03:04:05.000Z' },
      },
      expect.objectContaining({ context: {} }),
    ]);
  });

  test('the partition of China', () => {
    const asked: Question[] = [];
    const host = 'mydb.abc.rds.cn-north-1.amazonaws.com.cn';
    judge(golden[2]?.token ?? '', { asked }, { ...login, host, region: 'cn-north-1', user: "o'b*a@x y" });
    expect(asked[0]?.resource).toBe("arn:aws-cn:rds-db:cn-north-1:123456789012:dbuser:cluster-ABC/o'b*a@x y");
  });

  test('a refusal by IAM names the principal and nothing of the token', () => {
    const verdict = judge(plain, { decision: { outcome: 'implicitDeny', layer: 'session' } });
    expect(verdict).toMatchObject({ ok: false, code: 'NotAuthorized' });
    expect(JSON.stringify(verdict)).toContain('arn:aws:iam::123456789012:user/jane');
    expect(JSON.stringify(verdict)).not.toContain(plain.slice(-80, -30));
  });
});
