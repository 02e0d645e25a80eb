import { ObjectType, registerEnumType } from '@nestjs/graphql';
import { LogFormat, LogSource } from '../targets/targets.contract.js';

/** Why connections may have come and gone unseen */
export enum GapKind {
  /** The log could not be read; what is in it is read when it can be again */
  log_unreadable = 'log_unreadable',
  /** A log file was gone before it was read to its end */
  log_lost = 'log_lost',
  /** A log file was written anew before it was read to its end */
  log_rewritten = 'log_rewritten',
  /** Nobody looked at pg_stat_activity */
  sample_missed = 'sample_missed',
}
registerEnumType(GapKind, { name: 'GapKind' });

/** A time in which connections may have come and gone unseen */
@ObjectType()
export class ObservationGap {
  id: string;
  targetId: string;
  /** Null: of the whole target */
  endpointId: string | null;
  kind: GapKind;
  from: Date;
  /** Null: it lasts */
  to: Date | null;
  detail: string;
  /** When what was missed was seen after all; null: it was not */
  recoveredAt: Date | null;
}

/** One file or stream of a log, and how far it is read */
@ObjectType()
export class ServerLogFile {
  id: string;
  endpointId: string | null;
  name: string;
  /** Bytes that are read */
  offset: number;
  /** Of all kinds, those of connections among them */
  records: number;
  /** Lines that are none of PostgreSQL's */
  foreignLines: number;
  /** Records that were not believed: they can be read in two ways, or what runs in SQL has written them */
  doubtful: number;
  firstReadAt: Date;
  lastReadAt: Date;
  /** Since when it is no longer there */
  goneAt: Date | null;
}

/** How the PostgreSQL log of a target is read */
@ObjectType()
export class ServerLog {
  targetId: string;
  source: LogSource;
  format: LogFormat;
  /** When all there was had been read */
  readAt: Date | null;
  nextAt: Date | null;
  /** Why it cannot be read, and what mends that */
  problem: string | null;
  /** The newest 100 */
  files: ServerLogFile[];
  /** The newest 100 */
  gaps: ObservationGap[];
}
