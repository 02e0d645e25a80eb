import type { RdsPlace } from '../aws/rds.contract.js';
import type { ServerLogsService } from '../aws/server-logs.service.js';
import type { LogCursor, LogFile, LogMark, LogPiece, LogSource } from './log-source.js';

/**
 * Streams of a log group, one for each instance; each goes on for ever. Tokens of CloudWatch end after a day, times do not: a
 * marker is the millisecond from which it is asked again. RDS sends what is logged in order; what came late, with a time before
 * the marker, would not be seen.
 */
export class CloudWatchSource implements LogSource {
  readonly prefix: string;

  /** @param endpointOf by the name of an instance, which is that of its stream */
  constructor(
    private readonly logs: Pick<ServerLogsService, 'streams' | 'lines'>,
    private readonly place: RdsPlace,
    private readonly group: string,
    private readonly endpointOf: (instance: string) => string | null,
  ) {
    this.prefix = `cloudwatch:${group}:`;
  }

  async files(): Promise<LogFile[]> {
    const streams = await this.logs.streams(this.place, this.group);
    return streams.map(({ name }) => ({
      stream: `${this.prefix}${name}`,
      name,
      endpointId: this.endpointOf(name.replace(/\.\d+$/, '')),
    }));
  }

  async read({ name }: LogFile, from: LogCursor, most: number): Promise<LogPiece> {
    const parts: Buffer[] = [];
    const marks: LogMark[] = [];
    let offset = from.markerOffset;
    let token: string | undefined;
    do {
      const since = new Date(Number(from.marker ?? 0));
      const page = await this.logs.lines(this.place, { group: this.group, stream: name, since, token });
      for (const { at, text } of page.lines) {
        const marker = String(at.getTime());
        if (marks.at(-1)?.marker !== marker) marks.push({ marker, offset });
        const bytes = Buffer.from(text.endsWith('\n') ? text : `${text}\n`);
        parts.push(bytes);
        offset += bytes.length;
      }
      token = page.token;
    } while (token !== undefined && offset - from.offset < most);
    const bytes = Buffer.concat(parts).subarray(from.offset - from.markerOffset);
    return { bytes, atEnd: token === undefined, marks };
  }
}
