import { Injectable } from '@nestjs/common';
import type { Actor } from '../platform/actor.js';
import { DomainError } from '../platform/errors.js';
import { Places } from '../platform/places.js';
import { Database } from '../platform/state/database.js';
import { AuditExportFormat, type AuditExportQuery } from './audit.contract.js';
import { countLines, readFewSealed, readSealed, sealedSize } from './audit.queries.js';
import { AuditService } from './audit.service.js';
import { exportForms, type ExportForm } from './export-forms.js';
import { STEP, textOf, type Reader } from './export-text.js';
import { waysTo, type AuditScope, type Way } from './search.js';

/** So many lines are held at once; a part of the record is smaller. */
const FEW = 10_000;

/** An export that was put on record. Its text is read as it is taken: who is slow costs no connection, and no memory. */
export interface AuditExport {
  readonly form: ExportForm;
  /** Everything up to this sequence is looked at; what comes later is the next export's. */
  readonly last: number;
  readonly text: AsyncIterable<string>;
}

/** The record as a whole, or what somebody may see of it, in the order in which it is sealed. */
@Injectable()
export class AuditExportsService {
  /** All exports of a process share two connections: nobody takes those that tokens are minted by. */
  private readonly places = new Places(2);

  constructor(
    private readonly db: Database,
    private readonly audit: AuditService,
  ) {}

  /** @throws DomainError `invalid_cursor` for a sequence that no line has yet */
  async begin(actor: Actor, query: AuditExportQuery, scope: AuditScope): Promise<AuditExport> {
    const { format = AuditExportFormat.ndjson, after = 0, ...filter } = query;
    const last = await sealedSize(this.db.pool);
    if (after > last) throw beyond(after);
    const details = { format, filter, after, last };
    await this.db.tx((tx) => this.audit.append(tx, actor, { action: 'audit.export', details }));
    const form = exportForms[format];
    return { form, last, text: textOf(form, { after, last }, await this.reader(waysTo(filter, scope), last)) };
  }

  /** Few lines are read by their own indexes, at once; else the record is, part by part: most of it is meant, or its order is cheaper. */
  private async reader(ways: readonly Way[], last: number): Promise<Reader> {
    const few = last > STEP && (await countLines(this.db.pool, ways, FEW + 1)) <= FEW;
    const [step, read] = few ? [last, readFewSealed] : [STEP, readSealed];
    return { step, read: (after, upTo) => this.places.run(() => read(this.db.pool, ways, after, upTo)) };
  }
}

const beyond = (after: number): DomainError =>
  new DomainError(
    'invalid',
    'invalid_cursor',
    `The record has no line with the sequence ${after} yet.`,
    'Take the sequence of the last line that you have; after a restore of the state, begin with the last that both have.',
  );
