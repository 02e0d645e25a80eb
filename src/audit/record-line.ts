import { taleIn, type DropTale } from './drop-tale.js';
import { commitmentOf, type Entry } from './entry.js';
import { leafHash, type Hash } from './merkle.js';

/**
 * One line of an export (NDJSON): an entry with its place, in canonical JSON (RFC 8785), or a checkpoint over all lines before it.
 * An export begins with the first entry and ends with a checkpoint; further checkpoints may stand between, each directly behind
 * its last entry.
 */
export const entryLine = (seq: number, { actor, details, event }: Entry, leaf: Hash): string =>
  `{"actor":${actor ?? 'null'},"details":${details ?? 'null'},"event":${event},"leaf":"${leaf.toString('hex')}","seq":${seq}}`;

/** An entry whose month was dropped as older than the retention: its leaf is all that is left. */
export const droppedLine = (seq: number, leaf: Hash): string =>
  `{"dropped":true,"leaf":"${leaf.toString('hex')}","seq":${seq}}`;

const DROPPED = /^\{"dropped":true,"leaf":"([0-9a-f]{64})","seq":([1-9]\d{0,15})\}$/;

/** @returns undefined when it is none */
export function readDroppedLine(line: string): { seq: number; leaf: Hash } | undefined {
  const [, hex, seq] = DROPPED.exec(line) ?? [];
  return hex === undefined ? undefined : { seq: Number(seq), leaf: Buffer.from(hex, 'hex') };
}

/** What an entry tells of a month that was dropped; undefined for all entries but `audit.drop`, and where it tells nothing. */
export function dropTaleOf({ event, details }: Entry): DropTale | undefined {
  if (details === null || !event.startsWith('{"action":"audit.drop"')) return undefined;
  try {
    return taleIn((JSON.parse(details) as { value?: unknown } | null)?.value);
  } catch {
    return undefined;
  }
}

export const checkpointLine = (note: string): string => JSON.stringify({ checkpoint: note });

/** An entry as it stands in an export: parts in canonical JSON, nothing verified. */
export interface EntryLine extends Entry {
  readonly seq: number;
  readonly leaf: Hash;
}

const TAIL = /^"([0-9a-f]{64})","seq":([1-9]\d{0,15})}$/;

/**
 * Cuts a line into its parts without parsing them: each is hashed as it stands, and parsing would be most of the time of a
 * verification. Quotes in texts are escaped, so that a name with its quotes and comma is a name; `actor` and `event` are flat, so
 * that the first `details` and the last `event` and `leaf` are the line's own.
 * @returns undefined when it is no entry
 */
export function readEntryLine(line: string): EntryLine | undefined {
  const details = line.indexOf(',"details":');
  const leaf = line.lastIndexOf(',"leaf":');
  const event = line.lastIndexOf(',"event":', leaf);
  const [, hex, seq] = TAIL.exec(line.slice(leaf + 8)) ?? [];
  if (!line.startsWith('{"actor":') || details < 0 || event < details || leaf < event || hex === undefined)
    return undefined;
  return {
    actor: partOf(line.slice(9, details)),
    details: partOf(line.slice(details + 11, event)),
    event: line.slice(event + 9, leaf),
    leaf: Buffer.from(hex, 'hex'),
    seq: Number(seq),
  };
}

const partOf = (text: string): string | null => (text === 'null' ? null : text);

/** @returns the signed note, or undefined when the line is no checkpoint */
export function readCheckpointLine(line: string): string | undefined {
  if (!line.startsWith('{"checkpoint":')) return undefined;
  try {
    const { checkpoint } = JSON.parse(line) as { checkpoint: unknown };
    return typeof checkpoint === 'string' ? checkpoint : undefined;
  } catch {
    return undefined;
  }
}

/** What is wrong with an entry by itself, or undefined. Whether its leaf is in the tree is another question. */
export function faultOf({ actor, details, event, leaf }: EntryLine): string | undefined {
  if (actor !== null && commitmentOf(actor) !== committed('actor', event))
    return 'not what was sealed: name or address of its actor differ';
  if (details !== null && commitmentOf(details) !== committed('details', event))
    return 'not what was sealed: its details differ';
  return leafHash(event).equals(leaf) ? undefined : 'not what was sealed';
}

/** Out of the flat object that `event` is. */
function committed(part: 'actor' | 'details', event: string): string {
  const at = event.indexOf(`"${part}":"`) + part.length + 4;
  return event.slice(at, at + 64);
}
