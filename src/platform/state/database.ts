import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { Prisma, PrismaClient } from '../../generated/prisma/client.js';
import { currentCall, type IdempotentCall } from '../call.js';
import { DomainError } from '../errors.js';

/** A transaction of Usher's own database: passed to whoever writes in it, never ambient. */
export type Tx = Prisma.TransactionClient;

/**
 * What every session of ours starts with: the role that owns nothing, and UTC. Prisma sends instants without an offset, so a
 * server in another time zone would shift each of them by hours.
 */
export const SESSION = '-c role=usher_app -c timezone=UTC';

/** Injection token of the URL of Usher's own database; a secret. */
export const DATABASE_URL = Symbol('database url');

export interface DatabaseOptions {
  url: string;
  poolSize: number;
}

/** Thrown when the same Idempotency-Key won in another transaction: everything here is rolled back. */
export class AlreadyAnswered extends Error {
  override readonly name = 'AlreadyAnswered';
}

/**
 * Usher's own state. Works as the role `usher_app`, which owns nothing and cannot touch the record.
 * One pool serves Prisma and the hand-written SQL of `x.queries.ts`.
 */
@Injectable()
export class Database implements OnApplicationShutdown {
  readonly pool: pg.Pool;
  /** Sessions that hold a lock while work goes on elsewhere: apart, or they could starve that very work. */
  readonly locks: pg.Pool;
  readonly client: PrismaClient;

  constructor(options: DatabaseOptions) {
    this.pool = poolOf(options.url, options.poolSize, 'usher');
    this.locks = poolOf(options.url, options.poolSize, 'usher locks');
    this.client = new PrismaClient({ adapter: new PrismaPg(this.pool) });
  }

  /**
   * Runs one change. What `work` returns is the answer of the call: with an Idempotency-Key it is kept in this very
   * transaction, so that a repeated call finds either the whole change with its answer, or nothing.
   * @throws DomainError `concurrent_change` when two calls met on one row and this one may be repeated
   */
  async tx<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    const call = currentCall()?.idempotent;
    try {
      return await this.client.$transaction(
        async (tx) => {
          const answer = await work(tx);
          if (call) await remember(tx, call, answer);
          return answer;
        },
        { maxWait: 10_000, timeout: 30_000 },
      );
    } catch (error) {
      throw isSerialisation(error)
        ? new DomainError(
            'conflict',
            'concurrent_change',
            'Somebody changed the same thing at the same moment.',
            'Repeat the call.',
            { cause: error },
          )
        : error;
    }
  }

  /** After the last call was answered and the last job is done. */
  async onApplicationShutdown(): Promise<void> {
    await this.client.$disconnect();
    if (!this.pool.ended) await this.pool.end();
    await this.locks.end();
  }
}

function poolOf(url: string, max: number, name: string): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max,
    application_name: name,
    options: SESSION,
    connectionTimeoutMillis: 10_000,
  });
  // A broken idle connection is replaced at its next use; without a listener it would end the process.
  pool.on('error', () => undefined);
  return pool;
}

async function remember(tx: Tx, call: IdempotentCall, answer: unknown): Promise<void> {
  const rows = await tx.$executeRaw`
    INSERT INTO idempotent_answer (actor_id, key, fingerprint, answer, created_at)
    VALUES (${call.actorId}, ${call.key}, ${call.fingerprint}, to_jsonb(${kept(answer)}::text), clock_timestamp())
    ON CONFLICT DO NOTHING`;
  if (rows === 0) throw new AlreadyAnswered();
}

/** How a Date stands in a kept answer, so that it is told from a text that looks like one. */
export interface KeptDate {
  $date: string;
}

export const isKeptDate = (value: unknown): value is KeptDate =>
  typeof value === 'object' &&
  value !== null &&
  '$date' in value &&
  typeof value.$date === 'string' &&
  Object.keys(value).length === 1;

/** The answer as JSON, kept as one text: jsonb would put its fields in another order. */
const kept = (answer: unknown): string =>
  JSON.stringify(answer ?? null, function (this: Record<string, unknown>, name, value: unknown) {
    const before = this[name]; // what it was before toJSON
    return before instanceof Date ? { $date: before.toISOString() } : value;
  });

// P2034: write conflict or deadlock (https://www.prisma.io/docs/orm/reference/error-reference)
const isSerialisation = (error: unknown): boolean =>
  error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2034';

/** The unique index that a write broke, or undefined for any other error. P2002 of Prisma, 23505 of PostgreSQL. */
export function brokenUnique(error: unknown): string | undefined {
  if (!(error instanceof Prisma.PrismaClientKnownRequestError) || error.code !== 'P2002') return undefined;
  return JSON.stringify(error.meta ?? {});
}
