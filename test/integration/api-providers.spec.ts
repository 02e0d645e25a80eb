import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startOidc, type OidcStandIn, type TokenOverrides } from '../../local/oidc/server.ts';
import { createSigningKey, signJwt, type SignOptions } from '../../local/oidc/signing.ts';
import { auditLines, known } from '../support/people.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

/** A provider that can be stopped, started where it was, and given other keys. */
class Partner {
  key = createSigningKey();
  #server: Server | undefined;
  #port = 0;

  get issuer(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    this.#server = createServer((request, response) => {
      const documents: Record<string, unknown> = {
        '/jwks': { keys: [this.key.publicJwk] },
        '/.well-known/openid-configuration': {
          issuer: this.issuer,
          jwks_uri: `${this.issuer}/jwks`,
          device_authorization_endpoint: `${this.issuer}/device`,
          token_endpoint: 'http://elsewhere.example/token', // where codes would go in the clear
        },
      };
      response.writeHead(200, { connection: 'close' }).end(JSON.stringify(documents[request.url ?? ''] ?? null));
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

  token(usher: Usher, claims: Record<string, unknown> = {}, how: SignOptions = {}): string {
    const now = Math.floor(usher.clock.now().getTime() / 1_000);
    const own = { iss: this.issuer, aud: 'partners', sub: 'pat', azp: 'portal', iat: now, exp: now + 86_400 };
    return signJwt({ ...own, preferred_username: 'pat', groups: ['admins'], ...claims }, this.key, how);
  }
}

const partner = new Partner();
/** A second real provider whose groups count as the first's. */
let sister: OidcStandIn;
let usher: Usher;

beforeAll(async () => {
  await partner.start();
  sister = await startOidc({ audience: 'sisters' });
  const further = [
    {
      ...{ issuer: partner.issuer, audience: 'partners', groupsPrefix: 'partner:', algorithms: ['RS256'] },
      ...{ authorizedParties: ['portal'], cliClientId: 'partner-cli', cliScope: 'openid usher' },
    },
    { issuer: sister.issuer, audience: 'sisters', groups: 'same' },
  ];
  usher = await startUsher({ settings: { jobs: false }, env: { OIDC_PROVIDERS: JSON.stringify(further) } });
});
afterAll(async () => {
  await usher?.close();
  await Promise.all([partner.stop(), sister?.close()]);
});

const groupsOf = async (client: Client, issuer: string, subject: string): Promise<unknown> => {
  expect((await client.get('/v1/targets')).status).toBe(200);
  const { rows } = await usher.database.owner.query<{ groups: string[] }>(
    'SELECT groups FROM person WHERE issuer = $1 AND subject = $2',
    [issuer, subject],
  );
  return rows[0]?.groups;
};

describe('people of several providers', () => {
  test('of the first and of one whose groups are the same', async () => {
    expect((await (await known(usher, 'dave')).get('/v1/people')).status).toBe(200);
    const dave = usher.withToken(await sister.tokenFor('dave'));
    expect((await dave.get('/v1/people')).status).toBe(200);
  });

  test('the same subject at two providers is two people', async () => {
    const { rows } = await usher.database.owner.query<{ issuer: string }>(
      "SELECT issuer FROM person WHERE subject = '00u1d5pt6d' ORDER BY issuer",
    );
    expect(rows.map(({ issuer }) => issuer).sort()).toEqual([sister.issuer, usher.standIn.oidc.issuer].sort());
  });

  test('of one with a prefix: whoever it calls an administrator is none', async () => {
    const pat = usher.withToken(partner.token(usher, { groups: ['admins', 'orders-owners'] }));
    expect(await groupsOf(pat, partner.issuer, 'pat')).toEqual(['partner:admins', 'partner:orders-owners']);
    for (const path of ['/v1/people', '/v1/accounts', '/metrics']) {
      const { status, body } = await pat.get(path);
      expect([path, status, body['code']]).toEqual([path, 403, 'policy_denied']);
    }
    const { errors } = await pat.graphql('{ people { items { id } } }');
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'policy_denied', status: 403 });
  });

  test('of one that was not asked for IAM principals: what it says of them is not kept', async () => {
    const principal = 'arn:aws:iam::123456789012:user/alice';
    await usher.withToken(partner.token(usher, { sub: 'arn', aws_principal: principal })).get('/v1/targets');
    const { rows } = await usher.database.owner.query("SELECT principal_arn FROM person WHERE subject = 'arn'");
    expect(rows).toEqual([{ principal_arn: null }]);
  });
});

type Made = () => string | Promise<string>;
const first = (overrides: TokenOverrides, how?: SignOptions): string =>
  usher.standIn.oidc.signWith(usher.standIn.oidc.claimsOf('dave', overrides), how);

describe.each<[string, Made, RegExp]>([
  [
    'of the first, with the key of another under its own id',
    () => first({}, { key: partner.key.privateJwk }),
    /wrong signature/,
  ],
  [
    'of the first, with the key and the key id of another',
    () => first({}, { key: partner.key.privateJwk, header: { kid: partner.key.kid } }),
    /key of the provider/,
  ],
  ['of the first, for the audience of another', () => first({ audience: 'partners' }), /another audience than usher/],
  [
    'that the first signed in the name of another',
    () => first({ issuer: partner.issuer, audience: 'partners' }),
    /key of the provider/,
  ],
  [
    'of another, for the audience of the first',
    () => partner.token(usher, { aud: 'usher' }),
    /another audience than partners/,
  ],
  [
    'of another, in the name of the first',
    () => partner.token(usher, { iss: usher.standIn.oidc.issuer, aud: 'usher' }),
    /key of the provider/,
  ],
  ['of another, by a client of nobody', () => partner.token(usher, { azp: 'game' }), /client that is not accepted/],
  ['of another, by no client', () => partner.token(usher, { azp: undefined }), /which client/],
  [
    'of another, for several audiences and a foreign client',
    () => partner.token(usher, { aud: ['game', 'partners'], azp: 'game' }),
    /client that is not accepted/,
  ],
  ['of nobody who is trusted', () => first({ issuer: 'https://elsewhere.example' }), /not issued by/],
  ['that names two issuers', () => partner.token(usher, { iss: [partner.issuer, sister.issuer] }), /not issued by/],
])('a token %s', (_, make, says) => {
  test('is refused and on record', async () => {
    const token = await make();
    const { status, body } = await usher.withToken(token).get('/v1/people');
    expect([status, body['code']]).toEqual([401, 'token_invalid']);
    expect(body['detail']).toMatch(says);
    const lines = await auditLines(usher, String(body['correlationId']));
    expect(lines).toMatchObject([{ action: 'access.refused', code: 'token_invalid', actor_kind: 'nobody' }]);
    for (const part of token.split('.')) expect(JSON.stringify([lines, body])).not.toContain(part);
  });
});

describe('GET /v1/sign-in', () => {
  const read = async (): Promise<Record<string, unknown>[]> => {
    const { status, body, headers } = await usher.withToken(undefined).get<{
      providers: Record<string, unknown>[];
    }>('/v1/sign-in');
    expect([status, headers.get('cache-control')]).toEqual([200, 'no-store']);
    return body.providers;
  };

  test('tells anybody where to sign in, and sends nobody where it is not safe', async () => {
    expect(await read()).toEqual([
      {
        ...{ issuer: usher.standIn.oidc.issuer, audience: 'usher', clientId: null, scope: 'openid' },
        deviceAuthorizationEndpoint: null,
        tokenEndpoint: `${usher.standIn.oidc.issuer}/token`,
      },
      {
        ...{ issuer: partner.issuer, audience: 'partners', clientId: 'partner-cli', scope: 'openid usher' },
        deviceAuthorizationEndpoint: `${partner.issuer}/device`,
        tokenEndpoint: null,
      },
      expect.objectContaining({ issuer: sister.issuer, tokenEndpoint: `${sister.issuer}/token` }),
    ]);
  });

  test('is a look: nothing is changed by it, and nothing else is public there', async () => {
    expect((await usher.withToken(undefined).post('/v1/sign-in', {})).status).toBe(404);
  });
});

describe('a provider that is down', () => {
  test('shuts out nobody whose key is known, and none of another provider', async () => {
    await usher.withToken(partner.token(usher)).get('/v1/targets');
    await partner.stop();
    usher.clock.move(3 * 3_600_000);
    const answer = await usher.withToken(partner.token(usher, { sub: 'later' })).get('/v1/targets');
    expect(answer.status).toBe(200);
    const unknown = await usher.withToken(partner.token(usher, {}, { header: { kid: 'new' } })).get('/v1/targets');
    expect([unknown.status, unknown.body['code']]).toEqual([503, 'identity_provider_unavailable']);
    expect((await (await known(usher, 'dave')).get('/v1/people')).status).toBe(200);
  });

  test('is told as before where people sign in', async () => {
    const { body } = await usher.withToken(undefined).get<{ providers: object[] }>('/v1/sign-in');
    expect(body.providers[1]).toMatchObject({ deviceAuthorizationEndpoint: `${partner.issuer}/device` });
  });

  test('comes back with other keys, which are taken, and the old ones are not', async () => {
    const old = partner.token(usher);
    partner.key = createSigningKey();
    await partner.start();
    usher.clock.move(120_000);
    expect((await usher.withToken(partner.token(usher)).get('/v1/targets')).status).toBe(200);
    const refused = await usher.withToken(old).get('/v1/targets');
    expect([refused.status, refused.body['code']]).toEqual([401, 'token_invalid']);
  });

  test('from the start: sign-in says what is known, its tokens are not judged, and it is asked again', async () => {
    const late = new Partner();
    await late.start();
    await late.stop();
    const further = [{ issuer: late.issuer, audience: 'partners', groupsPrefix: 'late:', cliClientId: 'late-cli' }];
    const other = await startUsher({ settings: { jobs: false }, env: { OIDC_PROVIDERS: JSON.stringify(further) } });
    try {
      const { body } = await other.withToken(undefined).get<{ providers: object[] }>('/v1/sign-in');
      expect(body.providers[1]).toMatchObject({
        ...{ issuer: late.issuer, clientId: 'late-cli', deviceAuthorizationEndpoint: null, tokenEndpoint: null },
      });
      const early = await other.withToken(late.token(other)).get('/v1/targets');
      expect([early.status, early.headers.get('retry-after')]).toEqual([503, '5']);
      await late.start();
      other.clock.move(2_000);
      expect((await other.withToken(late.token(other)).get('/v1/targets')).status).toBe(200);
    } finally {
      await other.close();
      await late.stop();
    }
  });
});
