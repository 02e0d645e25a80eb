import { Injectable } from '@nestjs/common';
import type { ObservationGap as GapRow, ServerLogFile as FileRow } from '../generated/prisma/client.js';
import type { Actor } from '../platform/actor.js';
import { Database } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import type { LogFormat, LogSource } from '../targets/targets.contract.js';
import { TargetsService } from '../targets/targets.service.js';
import type { GapKind, ObservationGap, ServerLog, ServerLogFile } from './log-reading.contract.js';

/** Files, and gaps, that one answer lists. */
const SHOWN = 100;

/** How the logs of targets are read, as people may see it. */
@Injectable()
export class LogReadingService {
  constructor(
    private readonly db: Database,
    private readonly policy: PolicyService,
    private readonly targets: TargetsService,
  ) {}

  /** @throws DomainError `policy_denied`, `invalid_id`, `target_not_found` */
  async get(actor: Actor, id: string): Promise<ServerLog> {
    this.policy.authorize(actor, 'viewReadiness');
    const target = await this.targets.row(this.db.client, id);
    const where = { targetId: target.id };
    const [reader, files, gaps] = await Promise.all([
      this.db.client.logReader.findUnique({ where }),
      this.db.client.serverLogFile.findMany({ where, orderBy: { id: 'desc' }, take: SHOWN }),
      this.db.client.observationGap.findMany({ where, orderBy: { from: 'desc' }, take: SHOWN }),
    ]);
    return {
      targetId: target.id,
      source: target.logSource as LogSource,
      format: target.logFormat as LogFormat,
      readAt: reader?.readAt ?? null,
      nextAt: reader?.nextAt ?? null,
      problem: reader?.problem ?? null,
      files: files.map(presentFile),
      gaps: gaps.map(presentGap),
    };
  }
}

const presentFile = (row: FileRow): ServerLogFile => ({
  id: row.id,
  endpointId: row.endpointId,
  name: row.name,
  offset: Number(row.offset),
  records: Number(row.records),
  foreignLines: Number(row.foreignLines),
  doubtful: Number(row.doubtful),
  firstReadAt: row.firstReadAt,
  lastReadAt: row.lastReadAt,
  goneAt: row.goneAt,
});

const presentGap = (row: GapRow): ObservationGap => ({
  id: row.id,
  targetId: row.targetId,
  endpointId: row.endpointId,
  kind: row.kind as GapKind,
  from: row.from,
  to: row.to,
  detail: row.detail,
  recoveredAt: row.recoveredAt,
});
