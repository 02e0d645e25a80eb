import type { AuditExportFormat } from './audit.contract.js';
import { csvHead, csvLine } from './csv.js';
import type { ExportedLine } from './exported-line.js';
import { ocsfLine } from './ocsf.js';

/** How lines are written. Each line says its `sequence`, from which an export that was cut off goes on. */
export interface ExportForm {
  readonly mediaType: string;
  readonly extension: string;
  /** Before the first line, in an export from the beginning as in one that goes on. */
  readonly head: string;
  /** With its line end. */
  readonly line: (line: ExportedLine) => string;
}

/** As in the API, with its sequence in front. */
function jsonLine({ details, ...line }: ExportedLine): string {
  return `${JSON.stringify(line).slice(0, -1)},"details":${details}}\n`;
}

export const exportForms: Readonly<Record<Exclude<AuditExportFormat, AuditExportFormat.sealed>, ExportForm>> = {
  ndjson: { mediaType: 'application/x-ndjson', extension: 'ndjson', head: '', line: jsonLine },
  csv: { mediaType: 'text/csv; charset=utf-8; header=present', extension: 'csv', head: csvHead, line: csvLine },
  ocsf: { mediaType: 'application/x-ndjson', extension: 'ocsf.ndjson', head: '', line: ocsfLine },
};
