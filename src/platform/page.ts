import { DomainError } from './errors.js';

/** Ids are UUID version 7 (RFC 9562): they sort by time, so the last id of a page is its cursor. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

export const isId = (value: string): boolean => UUID.test(value);

/** @throws DomainError `invalid_id` */
export function asId<Id extends string = string>(value: string, noun = 'id'): Id {
  if (!isId(value))
    throw new DomainError(
      'invalid',
      'invalid_id',
      `This is not a valid ${noun}.`,
      'Ids look like 0190163d-8694-739b-aea5-966c26f8ad91.',
    );
  return value as Id;
}

export interface PageQuery {
  cursor?: string | undefined;
  limit?: number | undefined;
}
export interface PageOf<T> {
  items: T[];
  /** Pass it as `cursor` for the next page; null on the last. */
  nextCursor: string | null;
}

export const defaultLimit = 50;
export const maxLimit = 200;

/** Where to start and how many rows to read: one more than asked, to know whether there is a next page. */
export function readPage(query: PageQuery): { before: string | undefined; take: number; limit: number } {
  const limit = Math.min(query.limit ?? defaultLimit, maxLimit);
  return { before: query.cursor === undefined ? undefined : decodeCursor(query.cursor), take: limit + 1, limit };
}

/** Cuts rows that were read newest first to a page. */
export function toPage<Row extends { id: string }, T>(
  rows: readonly Row[],
  limit: number,
  present: (row: Row) => T,
): PageOf<T> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return { items: shown.map(present), nextCursor: rows.length > limit && last ? encodeCursor(last.id) : null };
}

const encodeCursor = (id: string): string => Buffer.from(id).toString('base64url');

function decodeCursor(cursor: string): string {
  const id = Buffer.from(cursor, 'base64url').toString('latin1');
  if (!isId(id))
    throw new DomainError(
      'invalid',
      'invalid_cursor',
      'This cursor is not one of ours.',
      'Take nextCursor from the page before, unchanged.',
    );
  return id;
}
