/** POST /v1/grants/{id}/tokens: for which name, how fast, and that nothing that was read before outlives a change. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { known, mint, opened, person, revoke, setStage, type Grant, type Person, type Stage } from '../e2e/stage.ts';
import { startUsher, type Usher } from '../support/usher.ts';

let usher: Usher;
let stage: Stage;
let who: Person;
let grant: Grant & { targetId: string };
let other: Grant & { targetId: string };

interface Token {
  token: string;
  tokenLength: number;
  expiresAt: string;
  issuedAt: string;
  host: string;
  port: number;
  tokenHost: string;
  tokenPort: number;
  endpointId: string;
  warnings: string[];
  recipes: { client: string }[];
  cutBy: { client: string; limit: number; advice: string }[];
}

beforeAll(async () => {
  usher = await startUsher({ env: { USHER_TOKENS_PER_SECOND: '20' } });
  stage = await setStage(usher);
  who = person(stage, 'minter', ['engineers']);
  grant = { ...(await opened(stage, who, { target: 'orders' })), targetId: stage.targets.orders.id };
  other = { ...(await opened(stage, who, { target: 'billing' })), targetId: stage.targets.billing.id };
});
afterAll(() => usher?.close());

const ask = (id: string, body: object = {}) => who.post<Token>(`/v1/grants/${id}/tokens`, body);
const minted = async (id: string, body: object = {}): Promise<Token> => {
  const answer = await ask(id, { clients: [], ...body });
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return answer.body;
};
/** Endpoints are set by hand, as they may not be changed through the API while a grant lives. */
const endpoint = async (kind: string, tokenHost: string, targetId = grant.targetId, port = 5432): Promise<string> => {
  const { rows } = await usher.db.pool.query<{ id: string }>(
    `INSERT INTO endpoint (id, target_id, kind, connect_host, token_host, port)
     VALUES (gen_random_uuid(), $1, $2, $3, $4, $5) RETURNING id`,
    [targetId, kind, `alias-${port}.example`, tokenHost, port],
  );
  return rows[0]?.id ?? '';
};
const remove = (id: string) => usher.db.pool.query('DELETE FROM endpoint WHERE id = $1', [id]);

describe('the answer', () => {
  test('names clients that would cut the token, and only the recipes that were asked for', async () => {
    const { body } = await ask(grant.id, { clients: ['psql', 'jdbc'] });
    expect(body.recipes.map(({ client }) => client)).toEqual(['psql', 'jdbc']);
    expect(body.tokenLength).toBe(body.token.length);
    expect(body.cutBy.length).toBeGreaterThan(0);
    for (const { client, limit, advice } of body.cutBy) {
      expect(limit).toBeLessThan(body.tokenLength);
      expect(client).not.toBe('');
      expect(advice).not.toBe('');
    }
  });

  test('has all of it in GraphQL too', async () => {
    const { data, errors } = await who.graphql<{ mintToken: Token }>(
      `mutation ($id: ID!, $input: MintToken) { mintToken(grantId: $id, input: $input) {
         tokenHost tokenPort endpointId recipes { client } cutBy { client limit advice } } }`,
      { id: grant.id, input: { endpoint: 'reader', clients: ['psql'] } },
    );
    expect(errors).toBeUndefined();
    expect(data?.mintToken).toMatchObject({ tokenHost: 'localhost', recipes: [{ client: 'psql' }] });
  });

  test('refuses a client that there is no recipe for', async () => {
    expect(await ask(grant.id, { clients: ['mysql'] })).toMatchObject({ status: 400, body: { code: 'invalid_input' } });
  });

  test('ends with the grant where that is sooner than 15 minutes', async () => {
    const brief = await opened(stage, who, { target: 'billing', minutes: 5 });
    const token = await minted(brief.id);
    expect(token.expiresAt).toBe(brief.endsAt);
    const long = await minted(grant.id);
    expect(Date.parse(long.expiresAt) - Date.parse(long.issuedAt)).toBe(900_000);
  });
});

describe('the name that is signed for', () => {
  test('is that of the writer for a custom endpoint', async () => {
    const own = 'reports.cluster-custom-abc123.eu-west-1.rds.amazonaws.com';
    const id = await endpoint('custom', own);
    const writer = await minted(grant.id, { endpoint: 'writer' });
    const custom = await minted(grant.id, { endpoint: 'custom' });
    await remove(id);
    expect(custom).toMatchObject({ host: 'alias-5432.example', tokenHost: 'localhost', tokenPort: writer.port });
    expect(custom.token.startsWith(`localhost:${writer.port}/?`)).toBe(true);
  });

  test.each([
    ['an alias', 'orders.example.com'],
    ['a custom endpoint', 'reports.cluster-custom-abc123.eu-west-1.rds.amazonaws.com'],
    ['a name like one of RDS', 'orders.rds.amazonaws.com.example.com'],
    ['a name of another partition', 'mydb.abc.rds.cn-north-1.amazonaws.com.cn'],
  ])('is refused when it is %s', async (_, tokenHost) => {
    const id = await endpoint('instance', tokenHost);
    const { status, body } = await ask(grant.id, { endpointId: id });
    await remove(id);
    expect({ status, body }).toMatchObject({ status: 409, body: { code: 'host_not_signable' } });
    expect(JSON.stringify(body)).toContain('tokenHost');
  });

  test('may be the real name behind an alias', async () => {
    const real = 'orders-1.abc123.eu-west-1.rds.amazonaws.com';
    const id = await endpoint('instance', real);
    const token = await minted(grant.id, { endpointId: id });
    await remove(id);
    expect(token).toMatchObject({ tokenHost: real, host: 'alias-5432.example', endpointId: id });
  });

  test('is chosen by id where there are several of a kind, and else said to be one of several', async () => {
    const ids = [
      await endpoint('instance', 'localhost', grant.targetId, 6001),
      await endpoint('instance', 'localhost', grant.targetId, 6002),
    ];
    const first = await minted(grant.id, { endpoint: 'instance' });
    const byId = await Promise.all(ids.map((endpointId) => minted(grant.id, { endpointId })));
    const wrong = await ask(grant.id, { endpoint: 'reader', endpointId: ids[0] });
    for (const id of ids) await remove(id);
    expect(byId.map(({ port }) => port)).toEqual([6001, 6002]);
    expect(ids).toContain(first.endpointId);
    expect(first.warnings.join(' ')).toContain(ids.find((id) => id !== first.endpointId));
    expect(byId[0]?.warnings.join(' ')).not.toContain('endpointId');
    expect(wrong).toMatchObject({ status: 400, body: { code: 'invalid_input' } });
  });
});

describe('what was read for an earlier token', () => {
  test('does not outlive a change of the target', async () => {
    const before = await minted(grant.id);
    await usher.db.pool.query('UPDATE endpoint SET port = port + 1 WHERE id = $1', [before.endpointId]);
    const after = await minted(grant.id);
    await usher.db.pool.query('UPDATE endpoint SET port = port - 1 WHERE id = $1', [before.endpointId]);
    expect(after.port).toBe(before.port + 1);
    expect((await minted(grant.id)).port).toBe(before.port);
  });

  test('does not outlive a change of what policy looks at', async () => {
    const dave = await known(stage, 'dave');
    await minted(other.id);
    await dave.patch(`/v1/targets/${other.targetId}`, { enabled: false });
    const disabled = await ask(other.id);
    await dave.patch(`/v1/targets/${other.targetId}`, { enabled: true });
    const enabled = await ask(other.id);
    const fresh = await startUsher({ database: usher.database, work: false });
    const same = await freshly(fresh);
    await fresh.stop();
    expect([disabled.status, enabled.status]).toEqual(same);
  });

  /** What a service says that has read nothing before. */
  const freshly = async (fresh: Usher): Promise<number[]> => {
    const dave = await known(stage, 'dave');
    const again = () => fresh.withToken(who.token).post(`/v1/grants/${other.id}/tokens`, {});
    await dave.patch(`/v1/targets/${other.targetId}`, { enabled: false });
    const disabled = await again();
    await dave.patch(`/v1/targets/${other.targetId}`, { enabled: true });
    return [disabled.status, (await again()).status];
  };

  test('does not outlive the grant', async () => {
    const brief = await opened(stage, who, { target: 'billing' });
    await minted(brief.id);
    await revoke(who, brief.id);
    expect(await ask(brief.id)).toMatchObject({ status: 409, body: { code: 'grant_closed' } });
  });
});

describe('too many', () => {
  test('are refused with the time to wait, for one target and not for another, and one is recorded for each that left', async () => {
    const carol = await known(stage, 'carol');
    const recorded = async (): Promise<number> =>
      (await carol.get<{ items: unknown[] }>(`/v1/audit/events?grant=${grant.id}&action=token.mint&limit=200`)).body
        .items.length;
    const before = await recorded();
    const answers = await Promise.all(Array.from({ length: 60 }, () => ask(grant.id, { clients: [] })));
    const left = answers.filter(({ status }) => status === 201);
    const refused = answers.filter(({ status }) => status === 429);
    expect(left.length + refused.length).toBe(60);
    expect(refused.length).toBeGreaterThan(0);
    for (const { headers, body } of refused) {
      expect(body).toMatchObject({ code: 'too_many_tokens' });
      expect(headers.get('retry-after')).toBe('1');
    }
    expect((await mint(who, other.id)).token).toContain('Action=connect');
    expect(await recorded()).toBe(before + left.length);
  });

  test('are not counted for somebody who may have none', async () => {
    const stranger = person(stage, 'stranger', ['engineers']);
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => stranger.post(`/v1/grants/${other.id}/tokens`, {})),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([404]));
  });
});
