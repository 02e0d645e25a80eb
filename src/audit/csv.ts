import type { ExportedLine } from './exported-line.js';

const columns = [
  ...(['sequence', 'id', 'at', 'action', 'outcome', 'code', 'actorKind', 'actorId', 'actorName'] as const),
  ...([
    'viaServiceId',
    'viaName',
    'subjectId',
    'targetId',
    'requestId',
    'grantId',
    'address',
    'correlationId',
    'details',
  ] as const),
] satisfies (keyof ExportedLine)[];

export const csvHead = `${columns.join(',')}\r\n`;

/** RFC 4180: quoted where it must be, quotes doubled, CRLF. Absent is empty. */
export const csvLine = (line: ExportedLine): string => `${columns.map((column) => cell(line[column])).join(',')}\r\n`;

/** What a spreadsheet takes for a formula, wherever it came from, is made a text by an apostrophe: nobody's name runs a command. */
const FORMULA = /^[\s\0]*[=+\-@\t\r\n|\uff1d\uff0b\uff0d\uff20]/;
const QUOTED = /[",\r\n]/;

function cell(value: string | number | null): string {
  if (value === null) return '';
  const text = typeof value === 'string' && FORMULA.test(value) ? `'${value}` : String(value);
  return QUOTED.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
