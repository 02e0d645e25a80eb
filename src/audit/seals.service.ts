import { Injectable } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { defaultLimit } from '../platform/page.js';
import { Database } from '../platform/state/database.js';
import { verifierKey } from './checkpoint.js';
import type { RecordedLine } from './entry.js';
import { consistencyRanges, inclusionRanges, type Range, type RootOf } from './merkle.js';
import { RecordKey } from './record-key.js';
import { linesOf } from './sealed-lines.js';
import type { AuditScope } from './search.js';
import type {
  AuditCheckpoint,
  AuditCheckpointPage,
  AuditCheckpointQuery,
  AuditConsistencyProof,
  AuditConsistencyQuery,
  AuditInclusionProof,
  AuditInclusionQuery,
  AuditKey,
} from './seals.contract.js';
import { backlog, hashesAt, heads, lineWithPlace, newestHead, noteOver, type Head } from './seals.queries.js';
import { unsigned } from './signatures.queries.js';
import { SigningRounds, type SigningOutcome } from './signing-rounds.js';
import { rootsOf } from './tree.js';

/** Reads the sealed record: its checkpoints, and proofs of what is in it. */
@Injectable()
export class SealsService {
  private readonly rootOf: RootOf;

  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly recordKey: RecordKey,
    private readonly rounds: SigningRounds,
  ) {
    this.rootOf = rootsOf((level, range) => hashesAt(db.pool, level, range));
  }

  /** @throws DomainError `checkpoint_not_found` where nothing is signed; `aws_denied`, `aws_unavailable` when the key is in AWS */
  async key(): Promise<AuditKey> {
    const signer = await this.recordKey.public();
    if (!signer) throw nothingSigned();
    const pem = signer.key.export({ type: 'spki', format: 'pem' }).toString();
    return { origin: signer.name, verifierKey: verifierKey(signer), pem };
  }

  /** The newest that is signed. @throws DomainError `checkpoint_not_found` */
  async checkpoint(): Promise<AuditCheckpoint> {
    const head = await newestHead(this.db.pool, { signed: true });
    if (!head) throw nothingSigned();
    return present(head);
  }

  async checkpoints({ cursor, limit = defaultLimit }: AuditCheckpointQuery): Promise<AuditCheckpointPage> {
    const found = await heads(this.db.pool, cursor === undefined ? undefined : Number(cursor), limit + 1);
    const shown = found.slice(0, limit);
    return { items: shown.map(present), nextCursor: found.length > limit ? String(shown.at(-1)?.size) : null };
  }

  /**
   * @param scope which lines the caller may see
   * @throws DomainError `event_not_found`, `event_not_sealed`, `checkpoint_not_found`
   */
  async inclusion({ event, size }: AuditInclusionQuery, scope: AuditScope): Promise<AuditInclusionProof> {
    const found = await lineWithPlace(this.db.pool, event);
    if (!found || !isInScope(found.line, scope)) throw noSuchEvent();
    const { line, place } = found;
    const tree = await this.treeOf(size);
    if (!place || place.seq > tree) throw notSealed(place !== undefined, size);
    const [text] = await linesOf(this.db.pool, [{ ...place, line }]);
    const hashes = await this.hashes(inclusionRanges(place.seq - 1, tree));
    return {
      eventId: event,
      seq: place.seq,
      line: text && 'text' in text ? text.text : '',
      leaf: place.leaf.toString('hex'),
      size: tree,
      root: await this.root(tree),
      hashes,
      checkpoint: await noteOver(this.db.pool, tree),
    };
  }

  /** @throws DomainError `checkpoint_not_found`, `invalid_input` */
  async consistency(query: AuditConsistencyQuery): Promise<AuditConsistencyProof> {
    const to = await this.treeOf(query.to);
    const { from } = query;
    if (from > to)
      throw new DomainError(
        'invalid',
        'invalid_input',
        `A record of ${from} lines does not grow to one of ${to}.`,
        OLDER,
      );
    const hashes = await this.hashes(consistencyRanges(from, to));
    return { from, fromRoot: await this.root(from), to, toRoot: await this.root(to), hashes };
  }

  /** Lines without a place, and for how many seconds the oldest of them has waited. */
  async backlog(): Promise<{ lines: number; seconds: number }> {
    const { lines, oldest } = await backlog(this.db.pool);
    return { lines, seconds: this.secondsSince(oldest) };
  }

  /** Sealed lines that no signed checkpoint is over, and for how many seconds the first of them has been without. */
  async unsigned(): Promise<{ lines: number; seconds: number }> {
    const { sealed, signed, oldest } = await unsigned(this.db.pool);
    return { lines: sealed - signed, seconds: this.secondsSince(oldest) };
  }

  /** How often this process had a checkpoint signed by a key that is elsewhere, and how often not. */
  signings(): ReadonlyMap<SigningOutcome, number> {
    return this.rounds.counts;
  }

  private secondsSince(moment: Date | null): number {
    return moment === null ? 0 : Math.max(0, (this.clock.now().getTime() - moment.getTime()) / 1_000);
  }

  /** The size that was asked for, which there must have been; else that of the newest checkpoint. */
  private async treeOf(asked: number | undefined): Promise<number> {
    const signed = asked === undefined ? await newestHead(this.db.pool, { signed: true }) : undefined;
    const newest = signed ?? (await newestHead(this.db.pool, { signed: false }));
    if (newest && (asked ?? 0) <= newest.size) return asked ?? newest.size;
    throw new DomainError(
      'not_found',
      'checkpoint_not_found',
      newest ? `The record has ${newest.size} sealed lines.` : 'Nothing of the record is sealed yet.',
      'Ask for a size that GET /v1/audit/checkpoints names.',
    );
  }

  private async root(size: number): Promise<string> {
    return (await this.rootOf({ start: 0, end: size })).toString('hex');
  }

  private async hashes(ranges: readonly Range[]): Promise<string[]> {
    return (await Promise.all(ranges.map(this.rootOf))).map((hash) => hash.toString('hex'));
  }
}

const OLDER = 'Name the older size as from, the younger as to.';

const present = ({ size, root, at, note }: Head): AuditCheckpoint => ({ size, root: root.toString('hex'), at, note });

/** As a search of the record narrows it. */
const isInScope = ({ actorId, subjectId, targetId }: RecordedLine, { all, personId, targetIds }: AuditScope): boolean =>
  all ||
  (personId !== null && (actorId === personId || subjectId === personId)) ||
  (targetId !== null && targetIds.includes(targetId));

const nothingSigned = (): DomainError =>
  new DomainError(
    'not_found',
    'checkpoint_not_found',
    'No checkpoint of the record is signed yet.',
    'Ask again in a moment; an administrator sets USHER_AUDIT_KEY or USHER_AUDIT_KMS_KEY, and at least one process runs jobs.',
  );

const noSuchEvent = (): DomainError =>
  new DomainError(
    'not_found',
    'event_not_found',
    'There is no such line of the record.',
    'GET /v1/audit/events lists those that you may see.',
  );

/** Not there yet, as far as proofs go: no refusal that would be on record each time somebody looks again. */
const notSealed = (placed: boolean, size: number | undefined): DomainError =>
  new DomainError(
    'not_found',
    'event_not_sealed',
    !placed
      ? 'This line has no place in the sealed record yet.'
      : size === undefined
        ? 'No signed checkpoint is over this line yet.'
        : `This line came after the first ${size}.`,
    size === undefined || !placed ? 'Ask again in a moment.' : 'Ask for a greater size, or for none.',
  );
