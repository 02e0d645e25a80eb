import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PinoLogger } from 'nestjs-pino';
import { symbols } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { logIn } from '../../local/oidc/code-flow.ts';
import { auditLines, forged, known, rowCounts } from '../support/people.ts';
import { startUsher, type Usher } from '../support/usher.ts';

let usher: Usher;
/** All that the service wrote to its log while this file ran. */
let log = '';

/** Where an attacker's keys would lie; who asks there for them has lost. */
const lair = createServer((request, response) => {
  asked.push(request.url ?? '');
  response.end(JSON.stringify({ keys: [{ ...publicOf(foreignKey), kid: 'mine', alg: 'RS256', use: 'sig' }] }));
});
const asked: string[] = [];
let restore = (): unknown => undefined;
const lairUrl = (): string => `http://127.0.0.1:${(lair.address() as AddressInfo).port}/jwks`;

beforeAll(async () => {
  lair.listen(0, '127.0.0.1');
  await once(lair, 'listening');
  usher = await startUsher({ settings: { jobs: false } });
  const { root } = PinoLogger;
  const stream = (root as unknown as Record<symbol, { write(line: string): void }>)[symbols.streamSym];
  if (!stream) throw new Error('the log has no stream');
  const { write } = stream;
  stream.write = (line) => {
    log += line;
    write.call(stream, line); // where it is searched for the secrets of all tests
  };
  restore = () => (stream.write = write);
  root.level = 'trace';
  root.info('the test is listening');
});
afterAll(async () => {
  restore(); // the stream is that of every file of this process
  lair.close();
  await usher?.close();
});

const foreignKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
const now = (): number => Math.floor(Date.now() / 1000);

const altered = async (part: number, change: (text: string) => string): Promise<string> => {
  const parts = (await usher.standIn.oidc.tokenFor('alice')).split('.');
  parts[part] = change(parts[part] ?? '');
  return parts.join('.');
};
const asDave = (payload: string): string => {
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
  return Buffer.from(JSON.stringify({ ...claims, sub: '00u1d5pt6d', groups: ['admins'] })).toString('base64url');
};
/** Signed by the provider itself, over texts that JSON.stringify would not write. */
function signedText(claims: string | Buffer, header?: string): string {
  const { kid, privateJwk } = usher.standIn.oidc.keys;
  const parts = [header ?? JSON.stringify({ alg: 'RS256', typ: 'at+jwt', kid }), claims];
  const input = parts.map((part) => Buffer.from(part).toString('base64url')).join('.');
  const key = createPrivateKey({ key: privateJwk, format: 'jwk' });
  return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`;
}
const goodClaims = (): string => JSON.stringify(usher.standIn.oidc.claimsOf('alice'));
const withAgain = (name: string, value: unknown): string =>
  `${goodClaims().slice(0, -1)},${JSON.stringify(name)}:${JSON.stringify(value)}}`;

/** The same bytes to a lenient reader: only bits that base64url does not use are others. */
function leftOver(signature: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const last = alphabet.indexOf(signature.slice(-1));
  return `${signature.slice(0, -1)}${alphabet[last ^ 1]}`;
}
const bringing = (header: Record<string, unknown>): string =>
  forged(usher, {}, { key: foreignKey, header: { kid: 'mine', ...header } });

const flipped = (text: string): string => (text.startsWith('A') ? 'B' : 'A') + text.slice(1);

const bad: readonly (readonly [name: string, token: () => string | Promise<string>, code: string, says: RegExp])[] = [
  ['expired', () => forged(usher, { expiresIn: -31 }), 'token_expired', /expired/],
  [
    'of a foreign issuer',
    () => forged(usher, { issuer: 'https://elsewhere.example' }),
    'token_invalid',
    /not issued by/,
  ],
  [
    'of the issuer with a slash',
    () => forged(usher, { issuer: `${usher.standIn.oidc.issuer}/` }),
    'token_invalid',
    /not issued by/,
  ],
  ['for another audience', () => forged(usher, { audience: 'another-service' }), 'token_invalid', /audience/],
  ['signed with a foreign key', () => forged(usher, {}, { key: foreignKey }), 'token_invalid', /wrong signature/],
  [
    'with an unknown key id',
    () => forged(usher, {}, { key: foreignKey, header: { kid: 'mine' } }),
    'token_invalid',
    /key of the provider/,
  ],
  [
    'that brings its own key',
    () => forged(usher, {}, { key: foreignKey, header: { jwk: publicOf(foreignKey) } }),
    'token_invalid',
    /jwk in its header/,
  ],
  ['that says where its key is', () => bringing({ jku: lairUrl() }), 'token_invalid', /jku in its header/],
  [
    'that says where its certificate is',
    () => bringing({ x5u: lairUrl(), x5t: 'AAAA' }),
    'token_invalid',
    /x5u in its header/,
  ],
  ['that brings its certificate', () => bringing({ x5c: ['MIIB'] }), 'token_invalid', /x5c in its header/],
  ['whose key id is an address', () => bringing({ kid: lairUrl() }), 'token_invalid', /key of the provider/],
  ['whose key id is a path', () => bringing({ kid: '../../../dev/null' }), 'token_invalid', /key of the provider/],
  ['whose key id is a number', () => bringing({ kid: 7 }), 'token_invalid', /kid that is not text/],
  [
    'signed by the provider, with a critical header that nobody knows',
    () => forged(usher, {}, { header: { crit: ['x'], x: 1 } }),
    'token_invalid',
    /crit in its header/,
  ],
  [
    'whose claims are said not to be encoded',
    () => forged(usher, {}, { header: { crit: ['b64'], b64: false } }),
    'token_invalid',
    /crit in its header/,
  ],
  ['that says it is packed', () => forged(usher, {}, { header: { zip: 'DEF' } }), 'token_invalid', /zip in its header/],
  ['with alg none', () => forged(usher, {}, { alg: 'none' }), 'token_invalid', /not signed with one of/],
  [
    'with alg NONE',
    () => forged(usher, {}, { alg: 'none', header: { alg: 'NONE' } }),
    'token_invalid',
    /not signed with one of/,
  ],
  ...['nOnE', 'None', 'none ', '', ['none'], ['RS256'], null].map(
    (alg) =>
      [
        `with alg ${JSON.stringify(alg)}`,
        () => forged(usher, {}, { alg: 'none', header: { alg } }),
        'token_invalid',
        /not signed with one of/,
      ] as const,
  ),
  [
    'without an alg',
    () => forged(usher, {}, { alg: 'none', header: { alg: undefined } }),
    'token_invalid',
    /not signed with one of/,
  ],
  [
    'HS256 with the public key as JWK',
    () => forged(usher, {}, { alg: 'HS256', key: JSON.stringify(usher.standIn.oidc.keys.publicJwk) }),
    'token_invalid',
    /not signed with one of/,
  ],
  [
    'HS256 that says it is RS256',
    () => forged(usher, {}, { alg: 'HS256', header: { alg: 'RS256' } }),
    'token_invalid',
    /wrong signature/,
  ],
  [
    'HS256 that says it is HS512',
    () => forged(usher, {}, { alg: 'HS256', header: { alg: 'HS512' } }),
    'token_invalid',
    /not signed with one of/,
  ],
  ['HS256 with the public key', () => forged(usher, {}, { alg: 'HS256' }), 'token_invalid', /not signed with one of/],
  ['whose signature was taken off', () => altered(2, () => ''), 'token_invalid', /signature|malformed|signed JWT/],
  ['with an altered signature', () => altered(2, flipped), 'token_invalid', /wrong signature/],
  ['with half a signature', () => altered(2, (text) => text.slice(0, 168)), 'token_invalid', /wrong signature/],
  ['with bits left over in the signature', () => altered(2, leftOver), 'token_invalid', /not a signed JWT/],
  ['with a padded signature', () => altered(2, (text) => `${text}==`), 'token_invalid', /not a signed JWT/],
  ['with a part too many', () => altered(2, (text) => `${text}.${text}`), 'token_invalid', /not a signed JWT/],
  ['encrypted', () => altered(2, (text) => `${text}.AAAA.AAAA`), 'token_invalid', /not a signed JWT/],
  [
    'that names its person twice',
    () => signedText(withAgain('sub', '00u1d5pt6d')),
    'token_invalid',
    /name twice in its claims/,
  ],
  [
    'that names its groups twice, in other letters',
    () => signedText(withAgain('groups', ['admins']).replace(/"groups"(?=:\["admins"\])/, '"\\u0067roups"')),
    'token_invalid',
    /name twice in its claims/,
  ],
  [
    'that names its algorithm twice',
    () => signedText(goodClaims(), `{"alg":"none","kid":"${usher.standIn.oidc.keys.kid}","alg":"RS256"}`),
    'token_invalid',
    /name twice in its header/,
  ],
  [
    'that is not UTF-8',
    () => signedText(Buffer.concat([Buffer.from(goodClaims().slice(0, -1)), Buffer.from(',"x":"\xff"}', 'latin1')])),
    'token_invalid',
    /not a signed JWT/,
  ],
  ['with a byte order mark', () => signedText(`\ufeff${goodClaims()}`), 'token_invalid', /not a signed JWT/],
  ['whose claims are a list', () => signedText(`[${goodClaims()}]`), 'token_invalid', /not a signed JWT/],
  ['within a token', () => signedText(forged(usher, {})), 'token_invalid', /not a signed JWT/],
  ['that says it holds another', () => forged(usher, {}, { header: { cty: 'JWT' } }), 'token_invalid', /another token/],
  [
    'that is an ID token for this audience',
    () => forged(usher, { claims: { nonce: 'n', at_hash: 'h' } }, { header: { typ: 'JWT' } }),
    'token_invalid',
    /ID token/,
  ],
  [
    'that is the ID token of a real sign-in, by a client named as the audience',
    async () => {
      const { issuer, client } = usher.standIn.oidc;
      return (await logIn({ issuer, ...client, scope: 'openid usher' }, 'alice')).idToken;
    },
    'token_invalid',
    /ID token/,
  ],
  ['that is a logout token', () => forged(usher, { claims: { events: {} } }), 'token_invalid', /logout token/],
  ['with altered claims', () => altered(1, asDave), 'token_invalid', /wrong signature/],
  ['with an altered header', () => altered(0, flipped), 'token_invalid', /signed JWT|malformed/],
  ['that is oversized', () => forged(usher, { claims: { padding: 'p'.repeat(14_000) } }), 'token_invalid', /longer/],
  ['that is no JWT', () => 'opaque-and-of-nobody', 'token_invalid', /not a signed JWT/],
  [
    'of another kind',
    () => forged(usher, {}, { header: { typ: 'logout+jwt' } }),
    'token_invalid',
    /not an access token/,
  ],
  ['that nobody is named in', () => forged(usher, { claims: { sub: undefined } }), 'token_invalid', /sub/],
  ['that never ends', () => forged(usher, { claims: { exp: undefined } }), 'token_invalid', /exp/],
  ['not valid yet', () => forged(usher, { claims: { nbf: now() + 3600 } }), 'token_invalid', /not valid yet/],
  [
    'of a sign-in to come',
    () => forged(usher, { claims: { auth_time: now() + 3600 } }),
    'token_invalid',
    /auth_time in the future/,
  ],
  ['from the future', () => forged(usher, { claims: { iat: now() + 3600 } }), 'token_invalid', /future/],
];

const publicOf = ({ kty, n, e }: typeof foreignKey): object => ({ kty, n, e });

/** Nothing that is long enough to be of use: header, claims, signature, and the raw claims themselves. */
function partsOf(token: string): string[] {
  return token.split('.').flatMap((part) => (part.length > 12 ? [part.slice(0, 400), part.slice(-12)] : []));
}

describe.each(bad)('an access token %s', (_, make, code, says) => {
  test('is refused, on record, and repeated nowhere', async () => {
    const token = await make();
    const before = await rowCounts(usher);
    const client = usher.withToken(token);
    const [rest, graphql] = [
      await client.get('/v1/targets'),
      await client.graphql('{ targets { items { id } } }'),
    ] as const;
    expect([rest.status, rest.body['code'], rest.headers.get('www-authenticate')]).toEqual([
      401,
      code,
      'Bearer realm="usher"',
    ]);
    expect(rest.body['detail']).toMatch(says);
    expect(rest.body['advice']).toBeTruthy();
    expect(graphql.errors?.[0]?.extensions).toMatchObject({ code, status: 401 });
    expect(graphql.data).toBeNull();
    for (const correlationId of [rest.body['correlationId'], graphql.errors?.[0]?.extensions['correlationId']]) {
      const lines = await auditLines(usher, String(correlationId));
      expect(lines).toMatchObject([{ action: 'access.refused', outcome: 'refused', code, actor_kind: 'nobody' }]);
      for (const part of partsOf(token)) expect(JSON.stringify(lines)).not.toContain(part);
    }
    for (const part of partsOf(token)) {
      expect(JSON.stringify([rest.body, [...rest.headers], graphql])).not.toContain(part);
      expect(log).not.toContain(part);
    }
    expect(await rowCounts(usher)).toEqual(before);
  });
});

test('no address that a token names was ever called', () => expect(asked).toEqual([]));

describe('the Authorization header', () => {
  test.each(['', 'Bearer', 'Basic YWxpY2U6c2VjcmV0', 'Bearer a b'])('%o holds no token', async (authorization) => {
    const answer = await fetch(`${usher.url}/v1/targets`, { headers: { authorization } });
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="usher"']);
    expect(await answer.json()).toMatchObject({ code: 'token_missing' });
  });

  test('a token in the query is not looked at', async () => {
    const token = await usher.standIn.oidc.tokenFor('alice');
    const answer = await usher.withToken(undefined).get(`/v1/targets?access_token=${token}`);
    expect(answer.body['code']).toBe('token_missing');
    for (const part of partsOf(token)) expect(log).not.toContain(part);
  });

  test('a good token is not written down either', async () => {
    const token = await usher.standIn.oidc.tokenFor('alice');
    const answer = await usher.withToken(token).get('/v1/targets');
    expect(answer.status).toBe(200);
    expect(log).toContain('the test is listening');
    for (const part of partsOf(token)) expect(log).not.toContain(part);
  });
});

test('a person who was locked may do nothing from then on', async () => {
  const carol = await known(usher, 'carol', { claims: { sub: 'locked-one', preferred_username: 'lockedone' } });
  expect((await carol.get('/v1/audit/events')).status).toBe(200);
  await usher.database.owner.query(`UPDATE person SET locked = true WHERE subject = 'locked-one'`);
  usher.clock.move(2_000); // a row is taken as read for a second
  for (const path of ['/v1/audit/events', '/v1/targets', '/v1/grants', '/v1/trust/bundles', '/metrics']) {
    const { status, body } = await carol.get(path);
    expect([path, status, body['code'], body['advice']]).toEqual([
      path,
      403,
      'policy_denied',
      expect.stringContaining('unlock'),
    ]);
  }
});
