import type { RdsPlace } from '../aws/rds.contract.js';
import type { ServerLogsService } from '../aws/server-logs.service.js';
import type { LogCursor, LogFile, LogMark, LogPiece, LogSource } from './log-source.js';

/** A log group; of one that has the streams of many instances their names tell whose each is. */
export interface Group {
  readonly name: string;
  /** By the name of an instance, which is that of its stream. */
  readonly endpointOf: (instance: string) => string | null;
}

/**
 * Streams of log groups, one for each instance; each goes on for ever. Tokens of CloudWatch end after a day, times do not: a
 * marker is the millisecond from which it is asked again. RDS sends what is logged in order; what came late, with a time before
 * the marker, would not be seen.
 */
export class CloudWatchSource implements LogSource {
  constructor(
    private readonly logs: Pick<ServerLogsService, 'streams' | 'lines'>,
    private readonly place: RdsPlace,
    private readonly groups: readonly Group[],
  ) {}

  owns(stream: string): boolean {
    return this.groupOf(stream) !== undefined;
  }

  async files(): Promise<LogFile[]> {
    const found: LogFile[] = [];
    for (const group of this.groups)
      for (const { name } of await this.logs.streams(this.place, group.name)) {
        const endpointId = group.endpointOf(name.replace(/\.\d+$/, ''));
        found.push({ stream: `${prefixOf(group)}${name}`, name, endpointId });
      }
    return found;
  }

  async read({ stream, name }: LogFile, from: LogCursor, most: number): Promise<LogPiece> {
    const group = this.groupOf(stream)?.name ?? '';
    const parts: Buffer[] = [];
    const marks: LogMark[] = [];
    let offset = from.markerOffset;
    let token: string | undefined;
    do {
      const since = new Date(Number(from.marker ?? 0));
      const page = await this.logs.lines(this.place, { group, stream: name, since, token });
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

  private groupOf(stream: string): Group | undefined {
    return this.groups.find((group) => stream.startsWith(prefixOf(group)));
  }
}

/** Neither has a colon in its name. */
const prefixOf = ({ name }: Group): string => `cloudwatch:${name}:`;
