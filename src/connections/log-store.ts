import { Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import type { Prisma, ServerLogEvent as EventRow, ServerLogFile as FileRow } from '../generated/prisma/client.js';
import { Clock } from '../platform/clock.js';
import { Database, type Tx } from '../platform/state/database.js';
import type { ServerLogEvent, ServerLogReading } from '../postgres/server-log.contract.js';
import { insertEvents, noteLeftOut } from './log-events.queries.js';
import type { LogCursor, LogFile } from './log-source.js';

/** Rows in one statement. */
const ROWS = 5_000;

/** The beginning of a file: SHA-256 of so many bytes. */
export interface Head {
  readonly head: string;
  readonly headLength: number;
}

/** Keeps what was read, and how far, in one transaction: what is read again is the same row, and nothing is read twice. */
@Injectable()
export class LogStore {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
  ) {}

  /** Files that are known of a target and still there. */
  known(targetId: string): Promise<FileRow[]> {
    return this.db.client.serverLogFile.findMany({ where: { targetId, goneAt: null }, orderBy: { id: 'asc' } });
  }

  /** A file is read from its beginning; of two who find it at once, one makes its row. */
  async begin(targetId: string, { stream, name, endpointId }: LogFile, head: Head | undefined): Promise<FileRow> {
    const now = this.clock.now();
    const data = { id: v7(), targetId, stream, name, endpointId, ...head, firstReadAt: now, lastReadAt: now };
    await this.db.client.serverLogFile.createMany({ data: [data], skipDuplicates: true });
    return this.db.client.serverLogFile.findFirstOrThrow({ where: { targetId, stream, name, goneAt: null } });
  }

  /**
   * Writes what was found behind the place that a row was read from.
   * @param at where to go on
   * @returns the row as it is now; undefined when another process read the same meanwhile
   */
  async write(row: FileRow, reading: ServerLogReading, at: LogCursor): Promise<FileRow | undefined> {
    return this.db.tx(async (tx) => {
      await tx.$queryRaw`SELECT 1 FROM server_log_file WHERE id = ${row.id}::uuid FOR UPDATE`;
      const now = await tx.serverLogFile.findUniqueOrThrow({ where: { id: row.id } });
      if (now.offset !== row.offset) return undefined;
      await this.keep(tx, row, reading.events);
      const { records, foreign, doubtful } = reading.counts;
      return tx.serverLogFile.update({
        where: { id: row.id },
        data: {
          offset: BigInt(reading.next.offset),
          within: reading.next.within,
          marker: at.marker,
          markerOffset: BigInt(at.markerOffset),
          records: { increment: records },
          foreignLines: { increment: foreign },
          doubtful: { increment: doubtful },
          lastReadAt: this.clock.now(),
        },
      });
    });
  }

  /** What is known of a file beside how far it is read. */
  async note(row: FileRow, data: Prisma.ServerLogFileUncheckedUpdateInput): Promise<FileRow> {
    return this.db.client.serverLogFile.update({ where: { id: row.id }, data });
  }

  private async keep(tx: Tx, file: FileRow, events: readonly ServerLogEvent[]): Promise<void> {
    const { id: fileId, targetId, endpointId } = file;
    const rows = events.map((event) => ({ ...columnsOf(event), id: v7(), fileId, targetId, endpointId }));
    for (let from = 0; from < rows.length; from += ROWS) {
      const leftOut = await insertEvents(tx, rows.slice(from, from + ROWS));
      if (leftOut) await noteLeftOut(tx, file, leftOut);
    }
  }
}

/** What all kinds have are columns; the rest of each is its details. */
function columnsOf(event: ServerLogEvent) {
  const { kind, at, toTheMillisecond, pid, sessionId, startedAt, address, port, offset, ...rest } = event;
  const { login, database, ...details } = { login: null, database: null, ...rest };
  const columns = { kind, at, toTheMillisecond, pid, sessionId, startedAt, address, port, offset };
  return { ...columns, login, database, details };
}

/** A row as the event that it keeps. */
export function eventIn(row: EventRow): ServerLogEvent {
  const { kind, at, toTheMillisecond, pid, sessionId, startedAt, address, port, offset, login, database } = row;
  const columns = { kind, at, toTheMillisecond, pid, sessionId, startedAt, address, port, offset: Number(offset) };
  const names = kind === 'received' ? {} : { login, database };
  // what `columnsOf` took apart, and the CHECKs of the table hold to
  return { ...columns, ...names, ...(row.details as object) } as ServerLogEvent;
}
