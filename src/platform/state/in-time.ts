import { Prisma } from '../../generated/prisma/client.js';
import { DomainError } from '../errors.js';
import type { Database } from './database.js';

/** Reads rows, in what is left of the time. */
export type Read = <Row>(sql: Prisma.Sql) => Promise<Row[]>;

/** What is left to a transaction to end in, beyond the time that its reads have; milliseconds. */
const TO_END_MS = 5_000;

/**
 * Reads whose work depends on what somebody asks for have so long, all of them together: PostgreSQL breaks off the one that takes longer.
 * @param mostMs milliseconds
 * @param advice how to ask for less
 * @throws DomainError `invalid_input` when the time is over
 */
export async function inTime<T>(
  db: Database,
  { mostMs, advice }: { mostMs: number; advice: string },
  work: (read: Read) => Promise<T>,
): Promise<T> {
  const tooMuch = (cause?: unknown): DomainError =>
    new DomainError('invalid', 'invalid_input', 'It takes too long to find what is asked for.', advice, { cause });
  try {
    return await db.client.$transaction(
      (tx) => {
        const end = performance.now() + mostMs;
        return work(async <Row>(sql: Prisma.Sql) => {
          const left = Math.ceil(end - performance.now());
          if (left <= 0) throw tooMuch(); // 0 would be for ever
          await tx.$queryRaw`SELECT set_config('statement_timeout', ${`${left}`}, true)`;
          return tx.$queryRaw<Row[]>(sql);
        });
      },
      { maxWait: 10_000, timeout: mostMs + TO_END_MS },
    );
  } catch (error) {
    throw isBrokenOff(error) ? tooMuch(error) : error;
  }
}

// P2010: a raw query failed (https://www.prisma.io/docs/orm/reference/error-reference); 57014: query_canceled
const isBrokenOff = (error: unknown): boolean =>
  error instanceof Prisma.PrismaClientKnownRequestError &&
  error.code === 'P2010' &&
  JSON.stringify(error.meta ?? {}).includes('"57014"');
