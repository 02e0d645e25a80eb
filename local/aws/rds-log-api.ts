/** RDS: log files of an instance, out of the directory of a real server. Source: Amazon RDS API Reference, version 2014-10-31. */
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ApiError } from './api.ts';
import type { Call, Handlers } from './api.ts';
import type { Instance, RdsStore } from './rds-store.ts';
import { here, named, rdsPage } from './rds-wire.ts';

/** As AWS documents them. What is beyond the bytes is left out, and the marker stands behind it. */
const MOST_LINES = 10_000;
const MOST_BYTES = 1_048_576;
/** RDS shows the log directory of the server under this name. */
const SHOWN = 'error/';

export const logHandlers = (rds: RdsStore): Handlers => ({
  DescribeDBLogFiles: (call) => {
    const files = filesOf(instanceOf(rds, call, 'rds:DescribeDBLogFiles'));
    const contains = call.parameters.optional('FilenameContains') ?? '';
    const since = call.parameters.optional('FileLastWritten') ?? '0';
    const size = call.parameters.integer('FileSize') ?? 0;
    const wanted = files.filter(
      (file) => file.name.includes(contains) && file.writtenMs >= Number(since) && file.size >= size,
    );
    return rdsPage(call, 'DescribeDBLogFiles', 'DescribeDBLogFilesDetails', wanted, (file) => ({
      LogFileName: file.name,
      LastWritten: Math.floor(file.writtenMs),
      Size: file.size,
    }));
  },
  DownloadDBLogFilePortion: (call) => {
    const instance = instanceOf(rds, call, 'rds:DownloadDBLogFilePortion');
    const name = call.parameters.required('LogFileName');
    const file = filesOf(instance).find((one) => one.name === name);
    if (file === undefined) throw new ApiError('DBLogFileNotFoundFault', `DBLog File: ${name}, is not found`, 404);
    const lines = Math.min(call.parameters.integer('NumberOfLines') ?? MOST_LINES, MOST_LINES);
    return portion(file.path, call.parameters.optional('Marker'), lines);
  },
});

function instanceOf(rds: RdsStore, call: Call, permission: string): Instance {
  const wanted = call.parameters.required('DBInstanceIdentifier');
  call.require(permission, wanted.startsWith('arn:') ? wanted : rds.arn(call.region, 'db', wanted));
  const found = here(rds.instances, call).find(({ identifier, arn }) => named(wanted, identifier, arn));
  if (found === undefined) throw new ApiError('DBInstanceNotFound', `DBInstance ${wanted} not found.`, 404);
  return found;
}

interface LogFile {
  readonly name: string;
  readonly path: string;
  readonly size: number;
  readonly writtenMs: number;
}

function filesOf({ logDirectory }: Instance): LogFile[] {
  if (logDirectory === undefined) return [];
  return readdirSync(logDirectory)
    .sort()
    .map((file) => {
      const path = join(logDirectory, file);
      const { size, mtimeMs } = statSync(path);
      return { name: `${SHOWN}${file}`, path, size, writtenMs: mtimeMs };
    });
}

/** @param marker `0` is the beginning, absent the end: then these are the last lines */
function portion(path: string, marker: string | undefined, lines: number) {
  const bytes = contentOf(path);
  const start = marker === undefined ? backBy(bytes, lines) : placeOf(marker);
  const end = forwardBy(bytes, start, lines);
  return {
    LogFileData: printable(bytes.subarray(start, Math.min(end, start + MOST_BYTES))),
    Marker: `${end === 0 ? '' : '1:'}${end}`,
    AdditionalDataPending: end < bytes.length,
  };
}

function contentOf(path: string): Buffer {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(statSync(path).size);
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(file);
  }
}

function placeOf(marker: string): number {
  const place = /^(?:\d{1,9}:)?(\d{1,12})$/.exec(marker)?.[1];
  if (place === undefined) throw new ApiError('InvalidParameterValue', 'Invalid Marker.');
  return Number(place);
}

function forwardBy(bytes: Buffer, start: number, lines: number): number {
  let at = start;
  for (let line = 0; line < lines && at < bytes.length; line++) {
    const end = bytes.indexOf('\n', at);
    at = end < 0 ? bytes.length : end + 1;
  }
  return at;
}

function backBy(bytes: Buffer, lines: number): number {
  let at = bytes.length;
  for (let line = 0; line < lines && at > 0; line++) at = bytes.lastIndexOf('\n', at - 2) + 1;
  return at;
}

/** XML has no other control characters than these. */
const printable = (bytes: Buffer): string => bytes.toString('utf8').replace(/[\x00-\x08\x0b\x0c\x0e-\x1f]/g, '?');
