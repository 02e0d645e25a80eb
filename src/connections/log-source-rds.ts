import type { RdsPlace } from '../aws/rds.contract.js';
import type { ServerLogsService } from '../aws/server-logs.service.js';
import type { ServerLogFormat } from '../postgres/server-log.contract.js';
import type { LogCursor, LogFile, LogMark, LogPiece, LogSource } from './log-source.js';

/** One instance of a target: each has log files of its own. */
export interface LoggedInstance {
  readonly identifier: string;
  readonly endpointId: string | null;
}

/** The beginning of a file, as the RDS API has it. */
const BEGINNING = '0';
const POSTGRES_LOG = /(?:^|\/)postgresql\.log/;

/** Log files of RDS. A marker leads back to the beginning of an answer, so that what was not complete is asked for again. */
export class RdsSource implements LogSource {
  private readonly prefix: string;

  constructor(
    private readonly logs: Pick<ServerLogsService, 'files' | 'portion'>,
    private readonly place: RdsPlace,
    private readonly instances: readonly LoggedInstance[],
    private readonly format: ServerLogFormat,
  ) {
    this.prefix = `rds:${format}:`;
  }

  owns(stream: string): boolean {
    return stream.startsWith(this.prefix);
  }

  async files(): Promise<LogFile[]> {
    const found: LogFile[] = [];
    for (const { identifier, endpointId } of this.instances)
      for (const { name } of await this.logs.files(this.place, identifier))
        if (this.isOfFormat(name)) found.push({ stream: `${this.prefix}${identifier}`, name, endpointId });
    return found;
  }

  async read({ stream, name }: LogFile, from: LogCursor, most: number): Promise<LogPiece> {
    const parts: Buffer[] = [];
    const marks: LogMark[] = [];
    let [marker, offset] = [from.marker ?? BEGINNING, from.markerOffset];
    do {
      const portion = await this.logs.portion(this.place, stream.slice(this.prefix.length), name, marker);
      marks.push({ marker, offset });
      parts.push(Buffer.from(portion.text));
      offset += Buffer.byteLength(portion.text);
      // an answer that leads nowhere would be asked for without end
      if (!portion.more || portion.marker === marker) return this.piece(parts, from, marks, true);
      marker = portion.marker;
    } while (offset - from.offset < most);
    return this.piece(parts, from, marks, false);
  }

  private piece(parts: Buffer[], from: LogCursor, marks: LogMark[], atEnd: boolean): LogPiece {
    return { bytes: Buffer.concat(parts).subarray(from.offset - from.markerOffset), atEnd, marks };
  }

  private isOfFormat(name: string): boolean {
    const kind = name.endsWith('.csv') ? 'csv' : name.endsWith('.json') ? 'json' : 'stderr';
    return POSTGRES_LOG.test(name) && kind === this.format;
  }
}
