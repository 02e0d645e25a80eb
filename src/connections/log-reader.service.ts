import { Injectable } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { Database } from '../platform/state/database.js';
import { readLog } from '../postgres/postgres.contract.js';
import type { ServerLogFormat, SkippedPart } from '../postgres/server-log.contract.js';
import type { TargetRow } from '../targets/target.js';
import { LogFiles, type FollowedFile } from './log-files.js';
import { ObservationGaps } from './log-gaps.js';
import { cursorAt, type LogSource } from './log-source.js';
import { LogSources } from './log-sources.service.js';
import { LogStore } from './log-store.js';

/** Bytes that are read at a time; what RDS gives at the most. */
const PIECE = 1_048_576;
/** For a record that is longer; what is longer still is skipped by the reading. */
const LARGEST_PIECE = 16 * PIECE;
/** Bytes of a target in one look: the others have their turn, and the next look goes on. */
const A_LOOK = 64 * PIECE;
const SOON_MS = 1_000;
/** After failures the next look is put off, at most so long. */
const LONGEST_WAIT_MS = 30 * 60_000;
const FIRST_WAIT_MS = 30_000;

/** Reads the logs of targets, each from where it was read to. */
@Injectable()
export class LogReader {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly sources: LogSources,
    private readonly files: LogFiles,
    private readonly store: LogStore,
    private readonly gaps: ObservationGaps,
  ) {}

  /**
   * One look at the log of a target. A source that fails is noted, with the gap that it leaves, and tried again later and later.
   * @param everyMs until the next look, when all was read
   */
  async read(targetId: string, everyMs: number): Promise<void> {
    const where = { id: targetId, deletedAt: null, logSource: { not: 'none' } };
    const target = await this.db.client.target.findFirst({ where, include: { endpoints: true } });
    if (!target) return;
    try {
      const source = await this.sources.of(target);
      const all = source ? await this.readAll(target, source) : true;
      await this.succeeded(targetId, all, everyMs);
    } catch (error) {
      const told = error instanceof DomainError;
      await this.failed(
        targetId,
        told ? error : { message: 'The log could not be read.', advice: "Usher's log says why." },
      );
      if (!told) throw error;
    }
  }

  /** @returns whether all that there was is read */
  private async readAll(target: TargetRow, source: LogSource): Promise<boolean> {
    let budget = A_LOOK;
    for (const followed of await this.files.follow(target.id, source)) {
      if (followed.row.complete) continue;
      budget = await this.readFile(followed, source, target.logFormat as ServerLogFormat, budget);
      if (budget <= 0) return false;
    }
    return true;
  }

  /** @returns what is left of the budget */
  private async readFile(
    { file, row: first, newest }: FollowedFile,
    source: LogSource,
    format: ServerLogFormat,
    budget: number,
  ): Promise<number> {
    let row = first;
    for (let [left, most] = [budget, PIECE]; ;) {
      const from = { offset: Number(row.offset), marker: row.marker, markerOffset: Number(row.markerOffset) };
      const piece = await source.read(file, from, most);
      const seen = from.offset + piece.bytes.length;
      const place = { offset: from.offset, within: row.within as SkippedPart | null };
      const reading = readLog(piece.bytes, place, { format, state: stateOf(row, seen, piece.atEnd, newest) });
      const written = await this.store.write(row, reading, cursorAt(reading.next.offset, from, piece.marks));
      if (!written) return left; // another process reads it
      left -= piece.bytes.length;
      if (piece.atEnd) await this.store.note(written, { size: BigInt(seen), complete: !newest });
      if (piece.atEnd || left <= 0) return left;
      most = written.offset === row.offset ? Math.min(most * 2, LARGEST_PIECE) : PIECE;
      row = written;
    }
  }

  private async succeeded(targetId: string, all: boolean, everyMs: number): Promise<void> {
    const now = this.clock.now();
    const nextAt = new Date(now.getTime() + (all ? everyMs : SOON_MS));
    const state = { triedAt: now, nextAt, failures: 0, problem: null, ...(all && { readAt: now }) };
    await this.db.client.logReader.upsert({ where: { targetId }, create: { targetId, ...state }, update: state });
    if (all) await this.gaps.end(targetId, 'log_unreadable', true);
  }

  private async failed(targetId: string, error: Pick<DomainError, 'message' | 'advice'>): Promise<void> {
    const now = this.clock.now();
    const problem = [error.message, error.advice].filter(Boolean).join(' ');
    const before = await this.db.client.logReader.findUnique({ where: { targetId } });
    const failures = (before?.failures ?? 0) + 1;
    const wait = Math.min(FIRST_WAIT_MS * 2 ** Math.min(failures, 10), LONGEST_WAIT_MS);
    const state = { triedAt: now, nextAt: new Date(now.getTime() + wait), failures, problem };
    await this.db.client.logReader.upsert({ where: { targetId }, create: { targetId, ...state }, update: state });
    await this.gaps.begin(targetId, 'log_unreadable', before?.readAt ?? now, problem);
  }
}

/** A file that has a newer one beside it is written no more; one that is as the last look left it may be quiet. */
function stateOf(row: { size: bigint }, seen: number, atEnd: boolean, newest: boolean): 'growing' | 'quiet' | 'ended' {
  if (!atEnd) return 'growing';
  if (!newest) return 'ended';
  return seen === Number(row.size) ? 'quiet' : 'growing';
}
