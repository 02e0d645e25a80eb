import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { KMSClient, SignCommand } from '@aws-sdk/client-kms';
import { PinoLogger } from 'nestjs-pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AwsStandIn } from '../../local/aws/server.ts';
import type { CheckpointSigner } from '../../src/audit/checkpoint-signer.js';
import { openCheckpoint, verifierKey, WrongSignature, type NamedKey } from '../../src/audit/checkpoint.js';
import { ChangedRecord } from '../../src/audit/notary.js';
import { SigningRounds } from '../../src/audit/signing-rounds.js';
import { Verification, type Verdict } from '../../src/audit/verification.js';
import { maySign } from '../../src/aws/account-policies.js';
import { KmsService, type KmsKey } from '../../src/aws/kms.service.js';
import { fileWith, runCli } from '../support/cli.ts';
import { known } from '../support/people.ts';
import { refused } from '../support/services.ts';
import { exported, newSigner, origin, sealingProcess, write, type SealingProcess } from '../support/seals.ts';
import { standIn } from '../support/stand-in.ts';
import { freshDatabase, type TestDatabase } from '../support/state.ts';
import { until } from '../support/until.ts';
import { startUsher, type Client, type Usher } from '../support/usher.ts';

let aws: AwsStandIn;
let kms: KmsService;
let usher: Usher;
let carol: Client;
let database: TestDatabase;
const processes: SealingProcess[] = [];
const never = new AbortController().signal;

/** Usher's own user may sign with these, by the policy that is printed for it. */
function allow(...keyArns: string[]): void {
  const statements = maySign('').Statement.map((statement) => ({ ...statement, Resource: keyArns }));
  aws.iam.putInline(service(), 'record-key', { Version: '2012-10-17', Statement: statements });
}
const service = () => aws.iam.users.get('usher-service')!;
const newKey = (): string => {
  const arn = aws.kms.createKey();
  allow(arn, servedKey);
  return arn;
};
let servedKey: string;

beforeAll(async () => {
  ({ aws } = await standIn());
  servedKey = aws.kms.createKey();
  allow(servedKey);
  usher = await startUsher({
    env: {
      USHER_AUDIT_KEY: '',
      USHER_AUDIT_KMS_KEY: aws.kms.putAlias('usher-record', servedKey),
      USHER_AUDIT_SIGN_SECONDS: '1',
      USHER_AUDIT_ORIGIN: origin,
    },
  });
  carol = await known(usher, 'carol');
  kms = new KmsService({ endpointUrl: aws.url, connectRoleName: 'usher-connect' });
});
afterAll(async () => {
  await usher?.close();
  kms?.onApplicationShutdown();
  aws?.iam.users.get('usher-service')?.inline.delete('record-key');
});

beforeEach(async () => {
  database = await freshDatabase();
});
afterEach(async () => {
  aws.faults.clear();
  aws.kms.lies = false;
  for (const each of processes.splice(0)) await each.close();
  await database.drop();
});

function sealing(signer: CheckpointSigner): SealingProcess {
  const made = sealingProcess(database, null, signer);
  processes.push(made);
  return made;
}

async function sealed(by: SealingProcess, lines: number): Promise<void> {
  await write(by.db.pool, lines);
  expect(await by.sealer.seal()).toBe(lines);
}

const sizes = async (): Promise<{ size: number; signed: boolean }[]> => {
  const { rows } = await database.owner.query<{ size: number; signed: boolean }>(
    'SELECT size::int AS size, note IS NOT NULL AS signed FROM audit_checkpoint ORDER BY size',
  );
  return rows;
};

function judge(lines: readonly string[], keys: readonly NamedKey[]): Verdict {
  const verification = new Verification(keys, []);
  for (const line of lines) verification.read(line);
  return verification.verdict();
}

const named = async (key: KmsKey): Promise<NamedKey> => ({ name: origin, key: await key.publicKey() });
const asked = (keyArn: string) => aws.trail.events('Sign').filter(({ requestParameters: p }) => p['KeyId'] === keyArn);

describe('a key in AWS KMS', () => {
  test('signs what was sealed before, and its public key alone proves it', async () => {
    const key = kms.key(newKey());
    const one = sealing(key);
    await sealed(one, 3);
    await sealed(one, 2);
    expect(await one.notary.sign(never)).toBe(5);
    expect(await sizes()).toEqual([
      { size: 3, signed: false },
      { size: 5, signed: true },
    ]);
    const file = fileWith('signed-by-kms.ndjson', (await exported(one.db)).join('\n'));
    const { code, out } = await runCli(['audit', 'verify', file, '--key', verifierKey(await named(key))]);
    expect([code, out]).toEqual([0, expect.stringContaining('5')]);
    expect(judge(await exported(one.db), [newSigner().publicKey])).toMatchObject({ proved: 0 });
    expect(asked(key.name)).toMatchObject([
      { requestParameters: { SigningAlgorithm: 'ED25519_SHA_512', MessageType: 'RAW' } },
    ]);
  });

  test('is asked no more often than the pace, by however many processes', async () => {
    const key = kms.key(newKey());
    const [one, two] = [sealing(key), sealing(key)];
    await sealed(one, 1);
    expect([await one.notary.sign(never), await two.notary.sign(never)]).toEqual([1, undefined]);
    await sealed(two, 1);
    expect([await one.notary.sign(never), await two.notary.sign(never)]).toEqual([undefined, undefined]);
    for (const { clock } of [one, two]) clock.move(10_000);
    expect([await two.notary.sign(never), await one.notary.sign(never)]).toEqual([2, undefined]);
    expect(asked(key.name)).toHaveLength(2);
  });

  test('is asked by who sealed what is to be signed; by others when that one does not, two paces later', async () => {
    const key = kms.key(newKey());
    const [one, two] = [sealing(key), sealing(key)];
    await sealed(one, 1);
    expect(await two.notary.sign(never)).toBeUndefined();
    two.clock.move(15_000);
    expect(await two.notary.sign(never)).toBeUndefined();
    expect(await one.notary.sign(never)).toBe(1);
    await sealed(one, 1);
    two.clock.move(15_000); // anew from what it sees now
    expect(await two.notary.sign(never)).toBeUndefined();
    two.clock.move(20_000);
    expect(await two.notary.sign(never)).toBe(2);
  });

  test.each<[what: string, break_: (keyArn: string) => void, code: string, advice: RegExp]>([
    ['may not be used', () => allow(servedKey), 'aws_denied', /kms:GetPublicKey on this key, in the key's policy/],
    ['is disabled', (arn) => aws.kms.enable(arn, false), 'aws_denied', /Enable the key/],
    [
      'is to be deleted',
      () => aws.faults.refuse(2, 'KMSInvalidStateException', { service: 'kms' }),
      'aws_denied',
      /delet/,
    ],
    ['is throttled', () => aws.faults.throttle(2, { service: 'kms' }), 'aws_unavailable', /throttling/],
    ['has a bad day', () => aws.faults.fail(2, { service: 'kms' }), 'aws_unavailable', /try again/],
  ])('that %s keeps nobody from being sealed, says why, and signs once it answers', async (_, break_, code, advice) => {
    const arn = newKey();
    const one = sealing(kms.key(arn));
    break_(arn);
    await sealed(one, 2);
    await expect(one.notary.sign(never)).rejects.toMatchObject({ code, advice: expect.stringMatching(advice) });
    await sealed(one, 2);
    expect((await sizes()).map(({ signed }) => signed)).toEqual([false, false]);
    aws.faults.clear();
    aws.kms.enable(arn, true);
    allow(arn, servedKey);
    expect(await one.notary.sign(never)).toBe(4);
    expect(judge(await exported(one.db), [(await one.key.public())!])).toMatchObject({ bad: undefined, proved: 4 });
  });

  test('that may be read and not used says which permission is missing', async () => {
    const arn = newKey();
    const read = maySign(arn).Statement.filter(({ Sid }) => Sid === 'ReadRecordKey');
    aws.iam.putInline(service(), 'record-key', { Version: '2012-10-17', Statement: read });
    const one = sealing(kms.key(arn));
    await sealed(one, 1);
    await expect(one.notary.sign(never)).rejects.toMatchObject({
      code: 'aws_denied',
      message: expect.stringContaining('kms:Sign'),
      advice: expect.stringContaining('kms:Sign'),
    });
  });

  test('may be used by Usher as for checkpoints, and in no other way', async () => {
    const client = new KMSClient({ region: aws.region, endpoint: aws.url, maxAttempts: 1 });
    const ask = { KeyId: newKey(), Message: Buffer.alloc(64) };
    const [pure, prehashed] = [
      new SignCommand({ ...ask, SigningAlgorithm: 'ED25519_SHA_512', MessageType: 'RAW' }),
      new SignCommand({ ...ask, SigningAlgorithm: 'ED25519_PH_SHA_512', MessageType: 'DIGEST' }),
    ];
    expect((await client.send(pure)).Signature).toHaveLength(64);
    await expect(client.send(prehashed)).rejects.toMatchObject({ name: 'AccessDeniedException' });
    client.destroy();
  });

  test('that is slow is given up', async () => {
    const hasty = new KmsService({ endpointUrl: aws.url, connectRoleName: 'usher-connect', timeoutMs: 1_000 });
    const one = sealing(hasty.key(newKey()));
    await sealed(one, 1);
    aws.faults.delay(4_000, { service: 'kms', action: 'Sign' });
    await expect(one.notary.sign(never)).rejects.toMatchObject({ code: 'aws_unavailable' });
    expect(await sizes()).toEqual([{ size: 1, signed: false }]);
    hasty.onApplicationShutdown();
  });

  test('that answers with a signature of another key: nothing is kept, and it is told apart', async () => {
    const one = sealing(kms.key(newKey()));
    await sealed(one, 1);
    aws.kms.lies = true;
    await expect(one.notary.sign(never)).rejects.toThrow(WrongSignature);
    expect(await sizes()).toEqual([{ size: 1, signed: false }]);
    aws.kms.lies = false;
    expect(await one.notary.sign(never)).toBe(1);
  });

  test('of another kind is refused', async () => {
    const arn = aws.kms.createKey('ECC_NIST_P256');
    allow(arn, servedKey);
    await expect(kms.key(arn).publicKey()).rejects.toMatchObject({
      kind: 'invalid',
      message: expect.stringContaining('ECC_NIST_P256'),
      advice: expect.stringContaining('ECC_NIST_EDWARDS25519'),
    });
  });

  test('by its alias is the key that the alias led to first; a process that starts later has the next', async () => {
    const [first, second] = [aws.kms.createKey(), aws.kms.createKey()];
    allow(first, second);
    const alias = aws.kms.putAlias('moving', first);
    const before = kms.key(alias);
    const one = sealing(before);
    await sealed(one, 1);
    await one.notary.sign(never);
    aws.kms.putAlias('moving', second);
    one.clock.move(10_000);
    await sealed(one, 1);
    expect(await one.notary.sign(never)).toBe(2);
    const after = kms.key(alias);
    const next = sealing(after);
    next.clock.move(20_000);
    await sealed(next, 1);
    expect(await next.notary.sign(never)).toBe(3);
    const lines = await exported(one.db);
    const [old, new_] = [await named(before), await named(after)];
    expect(judge(lines, [old, new_])).toMatchObject({ bad: undefined, proved: 3 });
    expect(judge(lines, [new_]).proved).toBe(3); // whoever has the newest signature needs no other
    expect(judge(lines, [old])).toMatchObject({ proved: 2, bad: { seq: 3, upTo: 3 } });
    expect([asked(first), asked(second)].map(({ length }) => length)).toEqual([2, 1]);
  });

  test('takes over from one that was at hand: an auditor gives both', async () => {
    const file = newSigner();
    const earlier = sealingProcess(database, file);
    processes.push(earlier);
    await sealed(earlier, 2);
    const key = kms.key(newKey());
    const one = sealing(key);
    one.clock.move(10_000);
    await sealed(one, 2);
    expect(await one.notary.sign(never)).toBe(4);
    expect(judge(await exported(one.db), [file.publicKey, await named(key)])).toMatchObject({ proved: 4 });
  });
});

describe('while a signature is on its way', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  /** Signs when it is let, or not at all. */
  function held() {
    const [begun, let_] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    const signer: CheckpointSigner = {
      name: 'held',
      publicKey: () => Promise.resolve(publicKey),
      sign: async (body, signal) => {
        begun.resolve(undefined);
        const ended = new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('ended'))));
        await Promise.race([let_.promise, ended]);
        return sign(null, body, privateKey);
      },
    };
    return { signer, begun: begun.promise, let_: () => let_.resolve(undefined) };
  }

  test('lines are sealed, by this process and by others, and it is of what was asked for', async () => {
    const { signer, begun, let_ } = held();
    const [one, two] = [sealing(signer), sealing(signer)];
    await sealed(one, 1);
    const signing = one.notary.sign(never);
    await begun;
    await sealed(one, 1);
    await sealed(two, 1);
    let_();
    expect(await signing).toBe(1);
    expect((await sizes()).map(({ signed }) => signed)).toEqual([true, false, false]);
  });

  test('another process may ask too: the signature is the same, and one is kept', async () => {
    const [first, second] = [held(), held()];
    const [one, two] = [sealing(first.signer), sealing(second.signer)];
    await sealed(one, 4);
    expect(await two.notary.sign(never)).toBeUndefined();
    two.clock.move(20_000);
    const both = [one.notary.sign(never), two.notary.sign(never)];
    await Promise.all([first.begun, second.begun]);
    first.let_();
    second.let_();
    expect(await Promise.all(both)).toEqual([4, 4]);
    expect(judge(await exported(one.db), [(await one.key.public())!])).toMatchObject({ bad: undefined, proved: 4 });
  });

  test('the process can end', async () => {
    const { signer, begun } = held();
    const one = sealing(signer);
    await sealed(one, 1);
    const log = new PinoLogger({ pinoHttp: { level: 'silent' } });
    const rounds = new SigningRounds({ jobs: true }, one.key, one.notary, log);
    await rounds.start();
    await begun;
    await rounds.onModuleDestroy();
    expect(await sizes()).toEqual([{ size: 1, signed: false }]);
  });
});

describe('between sealing and signing', () => {
  /** What who has every right on the database does. */
  async function changed(...statements: string[]): Promise<void> {
    const master = await database.owner.connect();
    await master.query(`SET session_replication_role = 'replica'`);
    for (const statement of statements) await master.query(statement);
    master.release(true);
  }
  const forgedLeaf = `sha256('\\x00'::bytea || 'another')`;

  test('what somebody changed with its hashes is not signed by the process that sealed it', async () => {
    const one = sealing(kms.key(newKey()));
    await sealed(one, 1);
    await changed(`UPDATE audit_seal SET leaf = ${forgedLeaf}`, `UPDATE audit_checkpoint SET root = ${forgedLeaf}`);
    await expect(one.notary.sign(never)).rejects.toThrow(ChangedRecord);
    expect(await sizes()).toEqual([{ size: 1, signed: false }]);
  });

  test('nor a tree that does not lead to what was signed before, by whichever process', async () => {
    const key = kms.key(newKey());
    const one = sealing(key);
    await sealed(one, 2);
    await one.notary.sign(never);
    await sealed(one, 1);
    await changed(`UPDATE audit_seal SET leaf = ${forgedLeaf} WHERE seq = 1`);
    const other = sealing(key);
    other.clock.move(10_000);
    await expect(other.notary.sign(never)).rejects.toThrow('when it had 2 lines');
  });

  test('nor what was changed with its hashes and then grew, by a process that trusts it', async () => {
    const key = kms.key(newKey());
    const [one, other] = [sealing(key), sealing(key)];
    await sealed(one, 1);
    await changed(`UPDATE audit_seal SET leaf = ${forgedLeaf}`, `UPDATE audit_checkpoint SET root = ${forgedLeaf}`);
    await sealed(other, 1);
    await write(one.db.pool, 1);
    await expect(one.sealer.seal()).rejects.toThrow('not as this process left them');
    await expect(one.notary.sign(never)).rejects.toThrow(ChangedRecord);
    expect((await sizes()).map(({ signed }) => signed)).toEqual([false, false]);
  });

  describe('a text in the place of a signature, by who works as the service,', () => {
    const made_up = `UPDATE audit_checkpoint SET note = format(E'x\n%s\n%s\n\n— x x\n', size, encode(root, 'base64')) WHERE note IS NULL`;
    async function signedAndMadeUp(key: KmsKey): Promise<SealingProcess> {
      const one = sealing(key);
      await sealed(one, 2);
      expect(await one.notary.sign(never)).toBe(2);
      await sealed(one, 1);
      await one.db.pool.query(made_up);
      return one;
    }

    test('is told once, and the next is signed', async () => {
      const one = await signedAndMadeUp(kms.key(newKey()));
      const log = new PinoLogger({ pinoHttp: { level: 'silent' } });
      const rounds = new SigningRounds({ jobs: true }, one.key, one.notary, log);
      await rounds.start();
      await until('it is told', async () => rounds.counts.get('wrong') === 1);
      one.clock.move(10_000);
      await sealed(one, 1);
      await until('the next is signed', async () => rounds.counts.get('signed') === 1);
      await rounds.onModuleDestroy();
      expect([rounds.counts.get('wrong'), rounds.counts.get('failed')]).toEqual([1, 0]);
      const { rows } = await database.owner.query<{ note: string }>('SELECT note FROM audit_checkpoint WHERE size = 4');
      expect(openCheckpoint(rows[0]!.note, [(await one.key.public())!]).size).toBe(4);
    });

    test('hides nothing that was signed before it', async () => {
      const key = kms.key(newKey());
      await signedAndMadeUp(key);
      await changed(`UPDATE audit_seal SET leaf = ${forgedLeaf} WHERE seq = 1`);
      await changed(`UPDATE audit_checkpoint SET root = sha256('x') WHERE size = 3`);
      const other = sealing(key);
      const strange: number[] = [];
      await write(other.db.pool, 1);
      await expect(other.sealer.seal()).rejects.toThrow('no longer lead to the root');
      await changed(
        `INSERT INTO audit_checkpoint (size, root, settled, at) SELECT 4, sha256('y'), 0, now()`,
        `INSERT INTO audit_seal (seq, event_id, leaf) SELECT 4, gen_random_uuid(), sha256('z')`,
      );
      const sign = (): Promise<unknown> => other.notary.sign(never, (size) => strange.push(size));
      expect(await sign()).toBeUndefined(); // it is not time
      other.clock.move(10_000);
      for (let look = 0; look < 2; look += 1) await expect(sign()).rejects.toThrow('when it had 2 lines');
      expect(strange).toEqual([3]);
    });
  });

  test('nor one that was cut off', async () => {
    const one = sealing(kms.key(newKey()));
    await sealed(one, 2);
    await sealed(one, 2);
    await changed('DELETE FROM audit_checkpoint WHERE size = 4', 'DELETE FROM audit_seal WHERE seq > 2');
    await expect(one.notary.sign(never)).rejects.toThrow('when it had 4 lines');
  });

  test('an export ends with what is signed, until signatures are missing for an hour', async () => {
    const one = sealing(kms.key(newKey()));
    await sealed(one, 2);
    await one.notary.sign(never);
    await sealed(one, 3);
    const keys = [(await one.key.public())!];
    expect(judge(await exported(one.db), keys)).toMatchObject({ bad: undefined, proved: 2 });
    await changed(`UPDATE audit_checkpoint SET at = at - interval '61 minutes' WHERE size = 5`);
    expect(judge(await exported(one.db), keys).bad).toEqual({ seq: 3, upTo: 5, why: 'under no signed checkpoint' });
  });

  test('what is dated to come is not for ever only to be signed, and what is not proved is told', async () => {
    const key = kms.key(newKey());
    const one = sealing(key);
    await sealed(one, 2);
    await one.notary.sign(never);
    await sealed(one, 3);
    const verify = ['audit', 'verify', '--database', '--key', verifierKey(await named(key))];
    const verified = (...more: string[]) => runCli([...verify, ...more], { DATABASE_URL: database.url });
    expect(await verified()).toMatchObject({ code: 0, out: expect.stringContaining('beyond that: 3 sealed entries') });
    expect(JSON.parse((await verified('--json')).out)).toMatchObject({ whole: true, proved: 2, beyond: 3 });
    await changed(`UPDATE audit_checkpoint SET at = '2999-01-01Z' WHERE size = 5`);
    expect(await verified()).toMatchObject({ code: 1, out: expect.stringContaining('entries 3 to 5') });
  });
});

describe('the service with a key in AWS KMS', () => {
  const metrics = async (): Promise<string> => (await carol.get<{ text: string }>('/metrics')).body.text;
  const signed = async (): Promise<number> =>
    (await carol.get<{ size: number }>('/v1/audit/checkpoint')).body.size ?? 0;

  test('tells its public key, and checkpoints are signed by themselves', async () => {
    const { body } = await carol.get('/v1/audit/key');
    const key = createPublicKey(String(body['pem']));
    expect(body).toMatchObject({ origin, verifierKey: verifierKey({ name: origin, key }) });
    expect(key.equals(aws.kms.find(servedKey)!.publicKey)).toBe(true);
    const size = await signed();
    await write(usher.db.pool, 3);
    await until('they are signed', async () => (await signed()) >= size + 3);
    expect(await metrics()).toMatch(/^usher_audit_signings_total\{outcome="signed"\} [1-9]/m);
  });

  test('a KMS that lies, and mends: lines are sealed, metrics tell, and a signature comes', async () => {
    const size = await signed();
    aws.kms.lies = true;
    const [id] = await write(usher.db.pool, 2);
    await until('the wrong signature is counted', async () => /outcome="wrong"\} [1-9]/.test(await metrics()));
    expect(await metrics()).toMatch(/^usher_audit_unsigned [1-9]/m);
    expect(await metrics()).toMatch(/^usher_audit_signature_lag_seconds (?!0$)/m);
    const unproved = await carol.get(`/v1/audit/proofs/inclusion?event=${id}`);
    refused(unproved, 404, 'event_not_sealed');
    expect(unproved.body['detail']).toBe('No signed checkpoint is over this line yet.');
    aws.kms.lies = false;
    await until('it is signed after all', async () => (await signed()) >= size + 2);
    expect((await carol.get(`/v1/audit/proofs/inclusion?event=${id}`)).status).toBe(200);
  });

  test('does not start with a key of another kind, and starts with one that it may not use', async () => {
    const other = aws.kms.createKey('ECC_NIST_P256');
    allow(other, servedKey);
    const started = async (key: string) => {
      const second = await startUsher({
        work: false,
        database: usher.database,
        env: { USHER_AUDIT_KEY: '', USHER_AUDIT_KMS_KEY: key, USHER_JOBS: 'false' },
      });
      try {
        const rounds = second.app.get(SigningRounds, { strict: false });
        const outcome = await rounds.start().then(
          () => 'started',
          (error: unknown) => error,
        );
        const client = await known(second, 'carol');
        return { outcome, key: await client.get('/v1/audit/key'), failed: rounds.counts.get('failed') };
      } finally {
        await second.stop();
      }
    };
    expect((await started(other)).outcome).toMatchObject({ kind: 'invalid', code: 'invalid_input' });
    const denied = await started(aws.kms.createKey());
    expect(denied).toMatchObject({ outcome: 'started', failed: 1 });
    refused(denied.key, 503, 'aws_denied');
  });
});
