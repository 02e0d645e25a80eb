import { Injectable } from '@nestjs/common';
import type { Actor } from '../platform/actor.js';
import { DomainError } from '../platform/errors.js';
import { Database } from '../platform/state/database.js';
import { AuditExportFormat, type AuditExportQuery } from './audit.contract.js';
import { readSealed, sealedLines } from './audit.queries.js';
import { AuditService } from './audit.service.js';
import { exportForms, type ExportForm } from './export-forms.js';
import { waysTo, type AuditScope } from './search.js';

/** Sequences that are looked at in one go: some 10 ms of work, in which nobody else is answered. */
const STEP = 1_000;

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
  constructor(
    private readonly db: Database,
    private readonly audit: AuditService,
  ) {}

  /** @throws DomainError `invalid_cursor` for a sequence that no line has yet */
  async begin(actor: Actor, query: AuditExportQuery, scope: AuditScope): Promise<AuditExport> {
    const { format = AuditExportFormat.ndjson, after = 0, ...filter } = query;
    const last = await sealedLines(this.db.pool);
    if (after > last) throw beyond(after);
    const details = { format, filter, after, last };
    await this.db.tx((tx) => this.audit.append(tx, actor, { action: 'audit.export', details }));
    const form = exportForms[format];
    const ways = waysTo(filter, scope);
    const read = (from: number) => readSealed(this.db.pool, ways, from, Math.min(from + STEP, last));
    return { form, last, text: textOf(form, after, last, read) };
  }
}

type Read = (after: number) => ReturnType<typeof readSealed>;

/** While one part is written, the next is read. */
async function* textOf(form: ExportForm, after: number, last: number, read: Read): AsyncGenerator<string> {
  let next = after < last ? started(read, after) : undefined;
  if (form.head !== '') yield form.head;
  for (let from = after; next; from += STEP) {
    const lines = await next;
    next = from + STEP < last ? started(read, from + STEP) : undefined;
    const text = lines.map(form.line).join('');
    if (text !== '') yield text;
  }
}

/** Its failure is told to whoever waits for it, and is nobody's when the export was left before. */
function started(read: Read, after: number): ReturnType<Read> {
  const lines = read(after);
  lines.catch(() => undefined);
  return lines;
}

const beyond = (after: number): DomainError =>
  new DomainError(
    'invalid',
    'invalid_cursor',
    `The record has no line with the sequence ${after} yet.`,
    'Take the sequence of the last line that you have; after a restore of the state, begin with the last that both have.',
  );
