import { createPublicKey } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCheckpoint, readVerifierKey, type NamedKey } from '../../src/audit/checkpoint.js';
import { leafHash, provesConsistency, provesInclusion, type Hash } from '../../src/audit/merkle.js';
import { faultOf, readEntryLine } from '../../src/audit/record-line.js';
import { Sealer } from '../../src/audit/sealer.js';
import { known, open, register, someone, type Registered } from '../support/people.ts';
import { newSigner, origin, places } from '../support/seals.ts';
import { refused } from '../support/services.ts';
import { startUsher, type Answer, type Client, type Usher } from '../support/usher.ts';

interface Checkpoint {
  size: number;
  root: string;
  at: string;
  note: string | null;
}
interface Inclusion {
  eventId: string;
  seq: number;
  line: string;
  leaf: string;
  size: number;
  root: string;
  hashes: string[];
  checkpoint: string | null;
}
interface Consistency {
  from: number;
  fromRoot: string;
  to: number;
  toRoot: string;
  hashes: string[];
}

const signer = newSigner();
let usher: Usher;
let sealer: Sealer;
let orders: Registered;
let carol: Client;
let key: NamedKey;

const hash = (hex: string): Hash => Buffer.from(hex, 'hex');
const hashes = (all: readonly string[]): Hash[] => all.map(hash);

beforeAll(async () => {
  usher = await startUsher({
    settings: { jobs: false },
    env: { USHER_AUDIT_KEY: signer.pem, USHER_AUDIT_ORIGIN: origin },
  });
  sealer = usher.app.get(Sealer, { strict: false });
  carol = await known(usher, 'carol');
});
afterAll(() => usher?.close());

test('before anything is sealed there is nothing to prove', async () => {
  refused(await carol.get('/v1/audit/checkpoint'), 404, 'checkpoint_not_found');
  refused(await carol.get('/v1/audit/proofs/consistency?from=1'), 404, 'checkpoint_not_found');
  expect((await carol.get('/v1/audit/checkpoints')).body).toEqual({ items: [], nextCursor: null });
  orders = await register(usher, 'orders');
  const { id } = await usher.db.client.auditEvent.findFirstOrThrow();
  refused(await carol.get(`/v1/audit/proofs/inclusion?event=${id}`), 404, 'checkpoint_not_found');
});

describe('once lines are sealed', () => {
  beforeAll(async () => {
    const { body } = await carol.get<{ verifierKey: string }>('/v1/audit/key');
    key = readVerifierKey(body.verifierKey);
    for (let round = 0; round < 4; round += 1) {
      await open(usher, someone(usher, ['engineers']), orders);
      await sealer.seal();
    }
  });

  const checkpoints = async (): Promise<Checkpoint[]> =>
    (await carol.get<{ items: Checkpoint[] }>('/v1/audit/checkpoints?limit=200')).body.items;

  test('the key is told as tools read it, and never the private one', async () => {
    const { body } = await carol.get<Record<string, string>>('/v1/audit/key');
    expect(body['origin']).toBe(origin);
    expect(createPublicKey(body['pem']!).equals(signer.publicKey.key)).toBe(true);
    expect(JSON.stringify(body)).not.toContain('PRIVATE');
  });

  test('checkpoints are signed, newest first, page by page', async () => {
    const all = await checkpoints();
    expect(all.length).toBeGreaterThanOrEqual(4);
    for (const { size, root, note } of all)
      expect(openCheckpoint(note!, [key])).toEqual({ origin, size, root: hash(root) });
    expect((await carol.get('/v1/audit/checkpoint')).body).toEqual(all[0]);
    const found: Checkpoint[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: Answer<{ items: Checkpoint[]; nextCursor: string | null }> = await carol.get(
        `/v1/audit/checkpoints?limit=2${cursor && `&cursor=${cursor}`}`,
      );
      const { body } = page;
      found.push(...body.items);
      cursor = body.nextCursor;
    }
    expect(found).toEqual(all);
  });

  test('every line is shown to be in the record, in trees of several sizes', async () => {
    const sizes = (await checkpoints()).map(({ size }) => size);
    for (const { eventId, seq } of await places(usher.database))
      for (const size of sizes.filter((one) => one >= seq)) {
        const { body } = await carol.get<Inclusion>(`/v1/audit/proofs/inclusion?event=${eventId}&size=${size}`);
        const entry = readEntryLine(body.line)!;
        expect([faultOf(entry), entry.seq]).toEqual([undefined, seq]);
        expect(JSON.parse(entry.event)).toMatchObject({ id: eventId });
        expect(leafHash(entry.event)).toEqual(hash(body.leaf));
        const { root } = openCheckpoint(body.checkpoint!, [key]);
        expect(provesInclusion(leafHash(entry.event), seq - 1, size, hashes(body.hashes), root)).toBe(true);
      }
  });

  test('every checkpoint is shown to grow into every later one', async () => {
    const all = (await checkpoints()).reverse();
    for (const [at, older] of all.entries())
      for (const younger of all.slice(at)) {
        const path = `/v1/audit/proofs/consistency?from=${older.size}&to=${younger.size}`;
        const { body } = await carol.get<Consistency>(path);
        expect([body.fromRoot, body.toRoot]).toEqual([older.root, younger.root]);
        const growth = {
          ...{ from: older.size, fromRoot: hash(older.root), to: younger.size, toRoot: hash(younger.root) },
        };
        expect(provesConsistency(growth, hashes(body.hashes))).toBe(true);
      }
  });

  test('GraphQL says the same', async () => {
    const [place] = await places(usher.database);
    const { data } = await carol.graphql(`{
      auditCheckpoint { size root at note }
      auditCheckpoints(limit: 2) { items { size root at note } nextCursor }
      auditKey { origin verifierKey pem }
      auditInclusionProof(event: "${place!.eventId}") { eventId seq line leaf size root hashes checkpoint }
      auditConsistencyProof(from: 2) { from fromRoot to toRoot hashes }
    }`);
    expect(data).toEqual({
      auditCheckpoint: (await carol.get('/v1/audit/checkpoint')).body,
      auditCheckpoints: (await carol.get('/v1/audit/checkpoints?limit=2')).body,
      auditKey: (await carol.get('/v1/audit/key')).body,
      auditInclusionProof: (await carol.get(`/v1/audit/proofs/inclusion?event=${place!.eventId}`)).body,
      auditConsistencyProof: (await carol.get('/v1/audit/proofs/consistency?from=2')).body,
    });
  });

  test('a line that one may not see is not there', async () => {
    const [place] = await places(usher.database);
    const path = `/v1/audit/proofs/inclusion?event=${place!.eventId}`;
    refused(await someone(usher, ['engineers']).get(path), 404, 'event_not_found');
    refused(await carol.get(`/v1/audit/proofs/inclusion?event=${orders.targetId}`), 404, 'event_not_found');
  });

  test('one sees the proof of what is about oneself', async () => {
    const client = someone(usher, ['engineers']);
    const { grantId } = await open(usher, client, orders);
    await sealer.seal();
    const { id } = await usher.db.client.auditEvent.findFirstOrThrow({ where: { grantId } });
    expect((await client.get(`/v1/audit/proofs/inclusion?event=${id}`)).status).toBe(200);
  });

  test('a line without a place yet, and one beyond a tree, are told as such', async () => {
    const [first] = (await checkpoints()).slice(-1);
    await open(usher, someone(usher, ['engineers']), orders);
    const { id } = await usher.db.client.auditEvent.findFirstOrThrow({ orderBy: { ordinal: 'desc' } });
    const path = `/v1/audit/proofs/inclusion?event=${id}`;
    refused(await carol.get(path), 404, 'event_not_sealed');
    const metrics = async (): Promise<string> => String((await carol.get('/metrics')).body['text']);
    expect(await metrics()).toMatch(/^usher_audit_unsealed [1-9]/m);
    await sealer.seal();
    expect((await carol.get(path)).status).toBe(200);
    refused(await carol.get(`${path}&size=${first!.size}`), 404, 'event_not_sealed');
    expect(await metrics()).toMatch(/^usher_audit_unsealed 0$/m);
    expect(await metrics()).toMatch(/^usher_audit_seal_lag_seconds 0$/m);
  });

  test.each([
    ['/v1/audit/proofs/consistency?from=9&to=2', 400, 'invalid_input'],
    ['/v1/audit/proofs/consistency?from=1&to=999999999', 404, 'checkpoint_not_found'],
    ['/v1/audit/proofs/consistency?from=0', 400, 'invalid_input'],
    ['/v1/audit/proofs/consistency?from=1.5', 400, 'invalid_input'],
    ['/v1/audit/proofs/consistency', 400, 'invalid_input'],
    ['/v1/audit/proofs/inclusion', 400, 'invalid_input'],
    ['/v1/audit/proofs/inclusion?event=7', 400, 'invalid_input'],
    ['/v1/audit/checkpoints?cursor=x', 400, 'invalid_input'],
    ['/v1/audit/checkpoints?limit=0', 400, 'invalid_input'],
  ])('%s is %i %s', async (path, status, code) => {
    refused(await carol.get(path), status, code);
  });
});
