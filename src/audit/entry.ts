import { hash } from 'node:crypto';
import { canonical, type JsonValue } from './canonical.js';
import { leafHash, type Hash } from './merkle.js';

/** A line of the record as it is sealed; `details` as the JSON text that the database holds. */
export interface RecordedLine {
  readonly id: string;
  /** ISO 8601 with milliseconds, UTC */
  readonly at: string;
  readonly actorKind: string;
  readonly actorId: string | null;
  readonly actorName: string;
  readonly viaServiceId: string | null;
  readonly viaName: string | null;
  readonly subjectId: string | null;
  readonly action: string;
  readonly outcome: string;
  readonly targetId: string | null;
  readonly requestId: string | null;
  readonly grantId: string | null;
  readonly code: string | null;
  readonly details: string;
  readonly address: string | null;
  readonly correlationId: string;
}

/** The parts of a line that may be taken out of it: its leaf holds a commitment to each. */
export const parts = ['actor', 'details'] as const;
export type Part = (typeof parts)[number];

/** Stands for those who are no person: nobody who called, Usher itself. Their lines cannot be redacted. */
export const NO_PERSON = '00000000-0000-0000-0000-000000000000';

/** Whose the personal fields are: name and address are the actor's, the details tell of the subject. */
export const ownerOf = (part: Part, line: Pick<RecordedLine, 'actorId' | 'subjectId'>): string =>
  (part === 'details' ? line.subjectId : null) ?? line.actorId ?? NO_PERSON;

/** What opens the commitments of one line, or stands in their place once they cannot be opened any more. */
export interface Openings {
  /** By person: 32 bytes of their own. */
  readonly keys: ReadonlyMap<string, Buffer>;
  readonly redacted?: Partial<Record<Part, Buffer>>;
}

/** A line with its commitments, each part as canonical JSON (RFC 8785). A part that was redacted is null. */
export interface Entry {
  readonly actor: string | null;
  readonly details: string | null;
  /** What the leaf is the hash of. */
  readonly event: string;
}

/** To be given away with a line: of no use for another line of the same person. */
function saltOf(part: Part, line: RecordedLine, { keys }: Openings): string {
  const owner = ownerOf(part, line);
  const key = keys.get(owner);
  if (key === undefined) throw new MissingKey(line.id, owner);
  return hash('sha256', Buffer.concat([key, Buffer.from(line.id)]), 'hex');
}

/** The key of a person is gone, and what it opened was not redacted. */
export class MissingKey extends Error {
  override readonly name = 'MissingKey';

  constructor(eventId: string, personId: string) {
    super(`line ${eventId} cannot be opened: the key of ${personId} is gone`);
  }
}

export const commitmentOf = (part: string): string => hash('sha256', part, 'hex');

type Member = readonly [name: string, of: (line: RecordedLine, commitments: Record<Part, string>) => string | null];

/** What a leaf is the hash of, member by member; named, so that nothing else of a row gets in. In canonical order (tested). */
const members: readonly Member[] = [
  ['action', ({ action }) => action],
  ['actor', (_, { actor }) => actor],
  ['actorId', ({ actorId }) => actorId],
  ['actorKind', ({ actorKind }) => actorKind],
  ['at', ({ at }) => at],
  ['code', ({ code }) => code],
  ['correlationId', ({ correlationId }) => correlationId],
  ['details', (_, { details }) => details],
  ['grantId', ({ grantId }) => grantId],
  ['id', ({ id }) => id],
  ['outcome', ({ outcome }) => outcome],
  ['requestId', ({ requestId }) => requestId],
  ['subjectId', ({ subjectId }) => subjectId],
  ['targetId', ({ targetId }) => targetId],
  ['viaName', ({ viaName }) => viaName],
  ['viaServiceId', ({ viaServiceId }) => viaServiceId],
];
const quotedOrNull = (text: string | null): string => (text === null ? 'null' : canonical(text));

/** @throws MissingKey */
export function entryOf(line: RecordedLine, openings: Openings): Entry {
  const gone = openings.redacted;
  const actor = gone?.actor
    ? null
    : canonical({ address: line.address, name: line.actorName, salt: saltOf('actor', line, openings) });
  const details = gone?.details
    ? null
    : `{"salt":"${saltOf('details', line, openings)}","value":${canonicalText(line.details)}}`;
  const commitments = {
    actor: gone?.actor?.toString('hex') ?? commitmentOf(actor ?? ''),
    details: gone?.details?.toString('hex') ?? commitmentOf(details ?? ''),
  };
  const event = `{${members.map(([name, of]) => `"${name}":${quotedOrNull(of(line, commitments))}`).join(',')}}`;
  return { actor, details, event };
}

export const leafOf = ({ event }: Entry): Hash => leafHash(event);

/** A number that JSON can write and ECMAScript cannot hold (1e400) would keep the record from being sealed: it stays a text. */
function canonicalText(json: string): string {
  try {
    return canonical(JSON.parse(json) as JsonValue);
  } catch (error) {
    if (error instanceof RangeError) return canonical(json);
    throw error;
  }
}
