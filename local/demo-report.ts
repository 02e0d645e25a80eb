/** What the demo prints: numbered steps for a person to read, in colour only where there is somebody to see it. */
import type { WriteStream } from 'node:tty';

export interface Report {
  /** How many steps went well so far. */
  readonly passed: number;
  /** Runs a step. When it throws, says in which step and why, and throws on. */
  step<T>(title: string, work: () => Promise<T>): Promise<T>;
  /** One fact, as `name  value`. */
  fact(name: string, value: unknown): void;
  /** Lines as they are, indented. */
  text(lines: string): void;
  /** Something that was refused, as it should be. */
  refused(what: string, why: string): void;
  table(rows: readonly Readonly<Record<string, unknown>>[]): void;
  /** Without indent, for what is no step. */
  line(text?: string): void;
  /** Prints no more: what still runs only finds out that the rest was ended. */
  silence(): void;
}

const codes = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], cyan: [36, 39] } as const;
type Style = (text: string) => string;

/** @see https://no-color.org */
function styles(out: WriteStream | NodeJS.WriteStream): Record<keyof typeof codes, Style> {
  const coloured = out.isTTY && (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb';
  const style =
    ([on, off]: readonly [number, number]): Style =>
    (text) =>
      coloured ? `\u001b[${on}m${text}\u001b[${off}m` : text;
  return {
    bold: style(codes.bold),
    dim: style(codes.dim),
    red: style(codes.red),
    green: style(codes.green),
    cyan: style(codes.cyan),
  };
}

export function createReport(out: NodeJS.WriteStream): Report {
  const s = styles(out);
  let silent = false;
  const line = (text = ''): void => {
    if (!silent) out.write(`${text}\n`);
  };
  let passed = 0;
  const indented = (text: string, style: Style = (same) => same): void =>
    text.split('\n').forEach((one) => line(`     ${style(one)}`));
  return {
    get passed() {
      return passed;
    },
    step: async (title, work) => {
      line(`\n${s.bold(`${String(passed + 1).padStart(2)}. ${title}`)}`);
      try {
        const result = await work();
        passed += 1;
        return result;
      } catch (error) {
        indented(`FAILED: ${error instanceof Error ? error.message : String(error)}`, s.red);
        throw error;
      }
    },
    fact: (name, value) => indented(`${s.dim(name.padEnd(14))} ${String(value)}`),
    text: (lines) => indented(lines),
    refused: (what, why) => indented(`${s.green('refused')}        ${what}: ${s.cyan(why)}`),
    table: (rows) => indented(tableOf(rows)),
    line,
    silence: () => (silent = true),
  };
}

function tableOf(rows: readonly Readonly<Record<string, unknown>>[]): string {
  const columns = Object.keys(rows[0] ?? {});
  const cells = [columns, ...rows.map((row) => columns.map((column) => shown(row[column])))];
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  return cells
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const shown = (value: unknown): string => (value instanceof Date ? value.toISOString() : String(value));
