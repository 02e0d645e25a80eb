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
function saltOf(owner: string, line: RecordedLine, { keys }: Openings): string {
  const key = keys.get(owner);
  if (key === undefined) throw new MissingKey(line.id, owner);
  return hash('sha256', Buffer.concat([key, Buffer.from(line.id)]), 'hex');
}

/** The salt of each part that was not redacted; mostly it is one person whose both parts are. */
function saltsOf(line: RecordedLine, openings: Openings): Record<Part, string | undefined> {
  const [ofActor, ofDetails] = [ownerOf('actor', line), ownerOf('details', line)];
  const actor = openings.redacted?.actor ? undefined : saltOf(ofActor, line, openings);
  if (openings.redacted?.details) return { actor, details: undefined };
  return { actor, details: actor !== undefined && ofDetails === ofActor ? actor : saltOf(ofDetails, line, openings) };
}

/** The key of a person is gone, and what it opened was not redacted. */
export class MissingKey extends Error {
  override readonly name = 'MissingKey';

  constructor(eventId: string, personId: string) {
    super(`line ${eventId} cannot be opened: the key of ${personId} is gone`);
  }
}

export const commitmentOf = (part: string): string => hash('sha256', part, 'hex');

/** @throws MissingKey */
export function entryOf(line: RecordedLine, openings: Openings): Entry {
  const gone = openings.redacted;
  const salts = saltsOf(line, openings);
  const actor =
    salts.actor === undefined
      ? null
      : `{"address":${text(line.address)},"name":${text(line.actorName)},"salt":"${salts.actor}"}`;
  const details =
    salts.details === undefined ? null : `{"salt":"${salts.details}","value":${canonicalText(line.details)}}`;
  const event = eventOf(line, {
    actor: gone?.actor?.toString('hex') ?? commitmentOf(actor ?? ''),
    details: gone?.details?.toString('hex') ?? commitmentOf(details ?? ''),
  });
  return { actor, details, event };
}

const text = (value: string | null): string => (value === null ? 'null' : canonical(value));

/**
 * What a leaf is the hash of, member by member; named, so that nothing else of a row gets in. In canonical order (tested), and
 * written out: to go through a list of them would cost more than the hashes.
 */
const eventOf = (line: RecordedLine, { actor, details }: Record<Part, string>): string =>
  `{"action":${text(line.action)},"actor":"${actor}","actorId":${text(line.actorId)},"actorKind":${text(line.actorKind)},` +
  `"at":${text(line.at)},"code":${text(line.code)},"correlationId":${text(line.correlationId)},"details":"${details}",` +
  `"grantId":${text(line.grantId)},"id":${text(line.id)},"outcome":${text(line.outcome)},"requestId":${text(line.requestId)},` +
  `"subjectId":${text(line.subjectId)},"targetId":${text(line.targetId)},"viaName":${text(line.viaName)},` +
  `"viaServiceId":${text(line.viaServiceId)}}`;

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
