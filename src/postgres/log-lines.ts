import { readCsv } from './log-csv.js';
import { readJson } from './log-json.js';
import { readStderr } from './log-stderr.js';
import { LogTally, type FormatReading, type LogState } from './log-tally.js';
import type { ServerLogFormat, ServerLogPlace, ServerLogReading } from './server-log.contract.js';

/** Bytes of one record that may be waited for; a longer one is skipped, and counted as doubtful. */
const MOST_PENDING = 8_388_608;

export interface ReadAs {
  readonly format: ServerLogFormat;
  readonly state: LogState;
}

/**
 * Reads a piece of a server's log: in what begins `from`, out events and where to go on. Pure: the same bytes from the same
 * place give the same events with the same offsets, in whatever pieces they come. Memory and time are linear in the piece.
 */
export function readLog(bytes: Uint8Array, from: ServerLogPlace, { format, state }: ReadAs): ServerLogReading {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const tally = new LogTally();
  let { end, within } = read(format, text, from, state, tally);
  if (text.length - end > MOST_PENDING) {
    tally.doubtful++;
    // never by a line break alone: inside of quotes, what stands behind it may be anybody's
    [end, within] = [text.length, format === 'csv' ? 'quoted' : 'line'];
  } else if (state === 'ended' && end < text.length) {
    tally.foreign++;
    end = text.length;
  }
  const { events, records, foreign, doubtful } = tally;
  return { events, next: { offset: from.offset + end, within }, counts: { records, foreign, doubtful } };
}

function read(
  format: ServerLogFormat,
  text: string,
  from: ServerLogPlace,
  state: LogState,
  tally: LogTally,
): FormatReading {
  switch (format) {
    case 'stderr':
      return readStderr(text, from, state, tally);
    case 'csv':
      return readCsv(text, from, tally);
    case 'json':
      return readJson(text, from, tally);
  }
}
