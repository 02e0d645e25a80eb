import { createPublicKey, generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto';
import { PinoLogger } from 'nestjs-pino';
import type pg from 'pg';
import { v7 } from 'uuid';
import type { CheckpointSigner } from '../../src/audit/checkpoint-signer.js';
import type { NamedKey } from '../../src/audit/checkpoint.js';
import { Notary } from '../../src/audit/notary.js';
import { RecordKey } from '../../src/audit/record-key.js';
import { sealedLines } from '../../src/audit/sealed-lines.js';
import { Sealer } from '../../src/audit/sealer.js';
import { readSettings } from '../../src/platform/config.js';
import { Secret } from '../../src/platform/secret.js';
import { Database } from '../../src/platform/state/database.js';
import { MovedClock } from './clock.ts';
import type { TestDatabase } from './state.ts';

export const origin = 'usher.test/audit';

/** A process that seals, without the rest of the service. */
export interface SealingProcess {
  sealer: Sealer;
  notary: Notary;
  key: RecordKey;
  db: Database;
  clock: MovedClock;
  close(): Promise<void>;
}

export interface Signer {
  pem: string;
  /** What a verifier has of it. */
  publicKey: NamedKey;
}

export function newSigner(): Signer {
  const { privateKey } = generateKeyPairSync('ed25519');
  return { pem: pemOf(privateKey), publicKey: { name: origin, key: createPublicKey(privateKey) } };
}

const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

/**
 * @param signer null: no key is at hand
 * @param elsewhere a key that is asked, every ten seconds at most
 */
export function sealingProcess(
  database: TestDatabase,
  signer: Signer | null,
  elsewhere: CheckpointSigner | null = null,
): SealingProcess {
  const db = new Database({ url: database.url, poolSize: 4 });
  const clock = new MovedClock();
  const read = readSettings({ OIDC_ISSUER: 'https://idp.example', USHER_AUDIT_ORIGIN: origin });
  const settings = {
    ...read,
    // not embedded: none is made up
    databaseUrl: new Secret(database.url),
    audit: { ...read.audit, key: signer === null ? undefined : new Secret(signer.pem) },
  };
  const key = new RecordKey(settings, elsewhere);
  const sealer = new Sealer(settings, db, clock, key, new PinoLogger({ pinoHttp: { level: 'silent' } }));
  const notary = new Notary(db, clock, key, sealer);
  return { sealer, notary, key, db, clock, close: () => db.onApplicationShutdown() };
}

/** How lines are written, by which sessions. */
export type Writer = Pick<pg.ClientBase, 'query'>;

export interface Written {
  actorId?: string;
  subjectId?: string | null;
  details?: object;
}

/** Writes lines in one statement, in the order of what is returned. */
export async function write(writer: Writer, count: number, more: Written = {}): Promise<string[]> {
  const ids = Array.from({ length: count }, () => v7());
  await writer.query(
    `INSERT INTO audit_event (id, at, actor_kind, actor_id, actor_name, subject_id, action, outcome, details, address, correlation_id)
     SELECT id, now(), 'person', $2, 'Ana Gómez', $3, 'connection.seen', 'success', $4::jsonb || jsonb_build_object('number', n), '192.0.2.7', 'c'
       FROM unnest($1::uuid[]) WITH ORDINALITY AS u (id, n) ORDER BY n`,
    [
      ids,
      more.actorId ?? randomUUID(),
      more.subjectId ?? null,
      JSON.stringify(more.details ?? { reason: 'why “so”, "event":' }),
    ],
  );
  return ids;
}

export interface Place {
  seq: number;
  eventId: string;
}

export async function places(database: TestDatabase): Promise<Place[]> {
  const { rows } = await database.owner.query<Place>(
    'SELECT seq::int AS seq, event_id AS "eventId" FROM audit_seal ORDER BY seq',
  );
  return rows;
}

/** An export as text, line by line. */
export async function exported(db: Database): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of sealedLines(db.pool)) {
    if (!('text' in line)) throw new Error(`entry ${line.seq} is ${line.why}`);
    lines.push(line.text);
  }
  return lines;
}
