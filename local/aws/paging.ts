/** `Marker` and a page size, as IAM and RDS both page: the marker is opaque to the client. */
import { ApiError } from './api.ts';

export interface Page<T> {
  readonly entries: readonly T[];
  /** Absent on the last page. */
  readonly marker: string | undefined;
}

/** @throws ApiError when the marker is not one of ours */
export function page<T>(all: readonly T[], size: number, marker: string | undefined): Page<T> {
  const start = marker === undefined ? 0 : readMarker(marker);
  const end = start + size;
  return { entries: all.slice(start, end), marker: end < all.length ? writeMarker(end) : undefined };
}

const writeMarker = (offset: number): string => Buffer.from(`offset:${offset}`).toString('base64url');

function readMarker(marker: string): number {
  const match = /^offset:(\d{1,9})$/.exec(Buffer.from(marker, 'base64url').toString('utf8'));
  if (match === null) throw new ApiError('InvalidParameterValue', 'Invalid Marker.');
  return Number(match[1]);
}
