import { readFile } from 'node:fs/promises';
import { parseArgs, type ParseArgsConfig } from 'node:util';

/** One word after `npm run usher --`. */
export interface Command {
  /** Printed for `--help`. */
  help: string;
  /** @returns the exit code: 0 done, 1 it failed or something is missing */
  run: (args: readonly string[]) => Promise<number>;
}

/** A command that was called wrongly: told with where its help is, and ended with 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

type Options = NonNullable<ParseArgsConfig['options']>;

/**
 * Arguments as {@link parseArgs} reads them, strictly.
 * @throws UsageError naming what is not known, and what is
 */
export function read<const O extends Options>(args: readonly string[], options: O, positionals: readonly string[]) {
  const known = Object.keys(options).map((name) => `--${name}`);
  const parsed = parsedOrRefused(args, options, known);
  const [surplus] = parsed.positionals.slice(positionals.length);
  if (surplus !== undefined) throw new UsageError(`There is no place for ${JSON.stringify(surplus)}.`);
  return parsed;
}

function parsedOrRefused<const O extends Options>(args: readonly string[], options: O, known: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const [said = ''] = error.message.split(/\. To specify|\n/);
    const choice =
      Reflect.get(error, 'code') === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' ? ` It takes ${known.join(', ')}.` : '';
    throw new UsageError(`${said.replace(/\.$/, '')}.${choice}`, { cause: error });
  }
}

/** @throws UsageError when it is left out */
export function needed(value: string | undefined, option: string, example: string): string {
  if (value === undefined || value === '') throw new UsageError(`${option} is missing, e.g. ${option} ${example}.`);
  return value;
}

/** @throws UsageError for anything but a port */
export function portOf(text: string | undefined): number {
  const port = Number(text ?? '5432');
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new UsageError('--port is a number from 1 to 65535.');
  return port;
}

/** The text of a file that the caller named. @throws UsageError when it cannot be read */
export async function fileOf(option: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new UsageError(`${option}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** Names come from a server and go to a terminal, which would obey them. */
export const shown = (text: string): string => text.replace(/\p{Cc}/gu, '?');
