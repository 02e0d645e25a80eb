import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, readdir, realpath, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { DomainError } from '../platform/errors.js';
import type { ServerLogFormat } from '../postgres/server-log.contract.js';
import type { LogCursor, LogFile, LogPiece, LogSource } from './log-source.js';

/** A directory has the files of some weeks; more than that is another directory. */
const MOST_FILES = 5_000;
const PACKED = /\.(?:gz|bz2|xz|zst|zip)$/;

/** The files of one server: those of a directory, or one file with those that it was before rotation. */
export interface FilePlace {
  readonly path: string;
  readonly endpointId: string | null;
}

/** Files of servers, on this machine. */
export class FileSource implements LogSource {
  /**
   * @param allowed the directory of the settings; nothing outside of it is read, by whatever links a path leads there
   */
  constructor(
    private readonly allowed: string | undefined,
    private readonly places: readonly FilePlace[],
    private readonly format: ServerLogFormat,
  ) {}

  owns(stream: string): boolean {
    return this.places.some((place) => this.streamOf(place) === stream);
  }

  async files(): Promise<LogFile[]> {
    const found: LogFile[] = [];
    for (const place of this.places) found.push(...(await this.filesOf(place)));
    return found;
  }

  private async filesOf(place: FilePlace): Promise<LogFile[]> {
    const path = await this.inside(place.path);
    const alone = !(await stat(path)).isDirectory();
    const directory = alone ? dirname(path) : path;
    const all = await readdir(directory).catch(() => {
      throw unreadable('The directory of the log cannot be listed.', 'Let the user that Usher runs as list it.');
    });
    const logs = this.places
      .filter((one) => dirname(one.path) === dirname(place.path))
      .map((one) => basename(one.path));
    const names = all.filter((name) => !alone || logOf(name, [basename(path), ...logs]) === basename(path));
    const found: { name: string; writtenMs: number }[] = [];
    for (const name of names.filter((one) => this.isOfFormat(one))) {
      const { mtimeMs, isFile } = await about(join(directory, name));
      if (isFile) found.push({ name, writtenMs: mtimeMs });
    }
    found.sort((a, b) => a.writtenMs - b.writtenMs || byName(a.name, b.name));
    const { endpointId } = place;
    return found.slice(-MOST_FILES).map(({ name }) => ({ stream: this.streamOf(place), name, endpointId }));
  }

  async read(log: LogFile, { offset }: LogCursor, most: number): Promise<LogPiece> {
    return this.with(log, async (file) => {
      const bytes = Buffer.alloc(most);
      const { bytesRead } = await file.read(bytes, 0, most, offset);
      return { bytes: bytes.subarray(0, bytesRead), atEnd: bytesRead < most, marks: [] };
    });
  }

  async head(log: LogFile, length: number): Promise<string | undefined> {
    return this.with(log, async (file) => {
      const bytes = Buffer.alloc(length);
      const { bytesRead } = await file.read(bytes, 0, length, 0);
      return bytesRead < length ? undefined : createHash('sha256').update(bytes).digest('hex');
    });
  }

  private async with<T>({ stream, name }: LogFile, work: (file: FileHandle) => Promise<T>): Promise<T> {
    const path = await this.inside(this.places.find((place) => this.streamOf(place) === stream)?.path ?? '');
    const directory = (await stat(path)).isDirectory() ? path : dirname(path);
    // O_NOFOLLOW: the directory was resolved, so a link here leads elsewhere
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const file = await open(join(directory, name), flags).catch(() => {
      throw unreadable('A log file cannot be opened.', 'Let the user that Usher runs as read it.');
    });
    try {
      return await work(file);
    } finally {
      await file.close();
    }
  }

  private streamOf({ path }: FilePlace): string {
    return `file:${this.format}:${path}`;
  }

  private isOfFormat(name: string): boolean {
    if (PACKED.test(name)) return false;
    const [csv, json] = [/\.csv(?:\.\d+)?$/.test(name), /\.json(?:\.\d+)?$/.test(name)];
    return this.format === 'csv' ? csv : this.format === 'json' ? json : !csv && !json;
  }

  /** A missing path and one outside get the same answer: nobody learns which files the host has. */
  private async inside(path: string): Promise<string> {
    const [root, real] = await Promise.all([
      this.allowed === undefined ? undefined : realpath(this.allowed).catch(() => undefined),
      realpath(path).catch(() => undefined),
    ]);
    if (root !== undefined && real !== undefined && (real === root || real.startsWith(root + sep))) return real;
    throw unreadable(
      'The log of this target is not in the directory that logs may be read from.',
      'Set USHER_LOG_DIR to a directory that holds it, and let the user that Usher runs as read it.',
    );
  }
}

/**
 * Which of these logs a file is, or was before rotation (`postgresql.log.1`, `postgresql.log-20260301`): of two that could be it, the
 * one that has more of the name. @returns undefined where it is none of them
 */
export const logOf = (name: string, logs: readonly string[]): string | undefined =>
  logs
    .filter((log) => name === log || (name.startsWith(log) && /^[.-]\d/.test(name.slice(log.length))))
    .sort((a, b) => b.length - a.length)[0];

/** Of the same moment: `postgresql.log.1` was `postgresql.log` before; else names tell the time. */
function byName(a: string, b: string): number {
  if (a.startsWith(`${b}.`)) return -1;
  if (b.startsWith(`${a}.`)) return 1;
  return a < b ? -1 : 1;
}

async function about(path: string): Promise<{ mtimeMs: number; isFile: boolean }> {
  const found = await lstat(path).catch(() => undefined); // a link is no file: it would not be opened
  return { mtimeMs: found?.mtimeMs ?? 0, isFile: found?.isFile() ?? false };
}

const unreadable = (message: string, advice: string): DomainError =>
  new DomainError('unavailable', 'target_not_ready', message, advice);
