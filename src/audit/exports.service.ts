import { Injectable } from '@nestjs/common';
import type { Actor } from '../platform/actor.js';
import { DomainError } from '../platform/errors.js';
import { Places } from '../platform/places.js';
import { Database } from '../platform/state/database.js';
import { AuditExportFormat, type AuditExportQuery, type AuditFilter } from './audit.contract.js';
import { countLines, readFewSealed, readSealed, sealedSize } from './audit.queries.js';
import { AuditService } from './audit.service.js';
import { exportForms } from './export-forms.js';
import { STEP, textOf, type Reader } from './export-text.js';
import { sealedLines, type SealedLine } from './sealed-lines.js';
import { provableSize } from './signatures.queries.js';
import { waysTo, type AuditScope, type Way } from './search.js';

/** What `audit verify` reads: see docs/audit.md. */
const PROVED = { mediaType: 'application/x-ndjson', extension: 'sealed.ndjson' };

/** So many lines are held at once; a part of the record is smaller. */
const FEW = 10_000;

/** An export that was put on record. Its text is read as it is taken: who is slow costs no connection, and no memory. */
export interface AuditExport {
  readonly mediaType: string;
  readonly extension: string;
  /** Everything up to this sequence is looked at; what comes later is the next export's. */
  readonly last: number;
  readonly text: AsyncIterable<string>;
}

/** The record as a whole, or what somebody may see of it, in the order in which it is sealed. */
@Injectable()
export class AuditExportsService {
  /** What anybody may export is read by two connections of a process: nobody takes those that tokens are minted by. */
  private readonly places = new Places(2);

  constructor(
    private readonly db: Database,
    private readonly audit: AuditService,
  ) {}

  /**
   * @throws DomainError `invalid_cursor` for a sequence that no line has yet; for a part of the record in the form that is proved as a
   *   whole, `policy_denied` or `invalid_input`
   */
  async begin(actor: Actor, query: AuditExportQuery, scope: AuditScope): Promise<AuditExport> {
    const { format = AuditExportFormat.ndjson, after = 0, ...filter } = query;
    const sealed = format === AuditExportFormat.sealed;
    if (sealed) refuseParts(filter, scope);
    const last = await (sealed ? provableSize : sealedSize)(this.db.pool);
    if (after > last) throw beyond(after);
    const details = { format, filter, after, last };
    await this.db.tx((tx) => this.audit.append(tx, actor, { action: 'audit.export', details }));
    if (sealed) return { ...PROVED, last, text: inParts(sealedLines(this.db.pool, after, last)) };
    const form = exportForms[format];
    const { mediaType, extension } = form;
    const reader = await this.reader(waysTo(filter, scope), last);
    return { mediaType, extension, last, text: textOf(form, { after, last }, reader) };
  }

  /** Few lines are read by their own indexes, at once; else the record is, part by part: most of it is meant, or its order is cheaper. */
  private async reader(ways: readonly Way[], last: number): Promise<Reader> {
    const few = last > STEP && (await countLines(this.db.pool, ways, FEW + 1)) <= FEW;
    const [step, read] = few ? [last, readFewSealed] : [STEP, readSealed];
    return { step, read: (after, upTo) => this.places.run(() => read(this.db.pool, ways, after, upTo)) };
  }
}

/** @throws Error when an entry is gone that should be there: what was written ends without an end */
async function* inParts(lines: AsyncIterable<SealedLine>): AsyncGenerator<string> {
  let part: string[] = [];
  for await (const line of lines) {
    if (!('text' in line)) throw new Error(`entry ${line.seq} of the record is ${line.why}`);
    if (part.push(`${line.text}\n`) < STEP) continue;
    yield part.join('');
    part = [];
  }
  if (part.length > 0) yield part.join('');
}

/** Proofs are of the whole: who may not see all of it cannot have them. */
function refuseParts(filter: AuditFilter, scope: AuditScope): void {
  if (Object.values(filter).some((value) => value !== undefined))
    throw new DomainError(
      'invalid',
      'invalid_input',
      'The sealed form is of the whole record: it has no filters.',
      'Leave them out, or choose another format.',
    );
  if (!scope.all)
    throw new DomainError(
      'forbidden',
      'policy_denied',
      'The sealed form is of the whole record, and you may see a part of it.',
      'Choose another format, or ask an auditor.',
    );
}

const beyond = (after: number): DomainError =>
  new DomainError(
    'invalid',
    'invalid_cursor',
    `The record has no line with the sequence ${after} yet.`,
    'Take the sequence of the last line that you have; after a restore of the state, begin with the last that both have.',
  );
