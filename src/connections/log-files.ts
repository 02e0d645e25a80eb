import { Injectable } from '@nestjs/common';
import type { ServerLogFile as FileRow } from '../generated/prisma/client.js';
import { Clock } from '../platform/clock.js';
import { ObservationGaps } from './log-gaps.js';
import type { LogFile, LogSource } from './log-source.js';
import { LogStore, type Head } from './log-store.js';

/** A file with what is known of it; `newest` of its stream is the one that is written. */
export interface FollowedFile {
  readonly file: LogFile;
  readonly row: FileRow;
  readonly newest: boolean;
}

/** Bytes that tell a file from others: the first line of each begins with its time. Fewer than the least tell nothing. */
const HEAD = 256;
const LEAST_HEAD = 64;

/** Which file is which: over rotation, by a new name or by renaming, and over files that are written anew. */
@Injectable()
export class LogFiles {
  constructor(
    private readonly store: LogStore,
    private readonly gaps: ObservationGaps,
    private readonly clock: Clock,
  ) {}

  /** All that is there now, the oldest first. Of what is gone before it was read a gap is noted. */
  async follow(targetId: string, source: LogSource): Promise<FollowedFile[]> {
    const files = await source.files();
    const rows = await this.store.known(targetId);
    const found = new Map<LogFile, FileRow>();
    for (const row of rows) {
      const file = await this.find(row, files, found, source);
      if (file) found.set(file, await this.named(row, file, source));
      else await this.gone(row, files, source);
    }
    const newest = new Map(files.map((file) => [file.stream, file]));
    const followed: FollowedFile[] = [];
    for (const file of files) {
      const row = found.get(file) ?? (await this.discover(targetId, file, source));
      followed.push({ file, row, newest: newest.get(file.stream) === file });
    }
    return followed;
  }

  /** Under its own name if it still begins as it did, else under another. */
  private async find(
    row: FileRow,
    files: readonly LogFile[],
    taken: ReadonlyMap<LogFile, FileRow>,
    source: LogSource,
  ): Promise<LogFile | undefined> {
    const ofStream = files.filter((file) => file.stream === row.stream && !taken.has(file));
    const sameName = ofStream.filter(({ name }) => name === row.name);
    if (!source.head || row.head === null) return sameName[0];
    for (const file of [...sameName, ...ofStream.filter(({ name }) => name !== row.name)])
      if ((await source.head(file, row.headLength)) === row.head) return file;
    return undefined;
  }

  /** Of a file that was short when it was found, the beginning is known later. */
  private async named(row: FileRow, file: LogFile, source: LogSource): Promise<FileRow> {
    const { name, endpointId } = file;
    const head = row.head === null ? await headOf(file, source) : undefined;
    if (row.name === name && row.endpointId === endpointId && head === undefined) return row;
    return this.store.note(row, { name, endpointId, ...head });
  }

  private async gone(row: FileRow, files: readonly LogFile[], source: LogSource): Promise<void> {
    await this.store.note(row, { goneAt: this.clock.now() });
    // of another source nobody asks for any more
    if (row.complete || !source.owns(row.stream)) return;
    const rewritten = files.some(({ stream, name }) => stream === row.stream && name === row.name);
    const [kind, what] = rewritten
      ? (['log_rewritten', 'was written anew'] as const)
      : (['log_lost', 'is gone'] as const);
    const detail = `The log file ${row.name} ${what} before it was known to be read to its end (${row.offset} bytes were).`;
    await this.gaps.note(row, kind, row.lastReadAt, detail);
  }

  private async discover(targetId: string, file: LogFile, source: LogSource): Promise<FileRow> {
    return this.store.begin(targetId, file, await headOf(file, source));
  }
}

/** What tells a file from others, as far as it is written. */
async function headOf(file: LogFile, source: LogSource): Promise<Head | undefined> {
  for (let headLength = HEAD; source.head && headLength >= LEAST_HEAD; headLength /= 2) {
    const head = await source.head(file, headLength);
    if (head !== undefined) return { head, headLength };
  }
  return undefined;
}
