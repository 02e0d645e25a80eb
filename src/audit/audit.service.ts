import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { InjectPinoLogger, PinoLogger } from 'nestjs-pino';
import { v7 } from 'uuid';
import type { Prisma } from '../generated/prisma/client.js';
import type { Actor } from '../platform/actor.js';
import { currentCall, raisedIn, type Call, type DecidedBy } from '../platform/call.js';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import type { DomainError } from '../platform/errors.js';
import { RefusalRecord } from '../platform/http/problem.filter.js';
import { networkOf } from '../platform/network.js';
import { readPage, toPage } from '../platform/page.js';
import { Database, type Tx } from '../platform/state/database.js';
import type {
  AuditEvent,
  AuditEventCount,
  AuditEventPage,
  AuditFilter,
  AuditOutcome,
  AuditQuery,
} from './audit.contract.js';
import { countLines, readLines, type AuditRow } from './audit.queries.js';
import type { AuditEntry } from './events.js';
import { RefusalTally } from './refusal-tally.js';
import { waysTo, type AuditScope } from './search.js';

/** A line as it is written. */
type Line = Prisma.AuditEventUncheckedCreateInput & { id: string; at: Date };

/** Between two looks at what was counted. */
const TELL_MS = 5_000;

/** Lines that a count counts; of more it says that there are more. */
const MOST_COUNTED = 10_000;

/** The record. Append only: there is no method that changes a line, and the database would refuse it. */
@Injectable()
export class AuditService extends RefusalRecord implements OnModuleInit, OnApplicationShutdown {
  private readonly tally = new RefusalTally<Line>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'anonymousCallsPerMinute'>,
    @InjectPinoLogger(AuditService.name) private readonly log: PinoLogger,
  ) {
    super();
  }

  onModuleInit(): void {
    this.timer = setInterval(() => void this.tellCounted(), TELL_MS).unref();
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.tellCounted(true);
  }

  /** Adds a line in the transaction of the change that it tells of: both are there, or neither. */
  async append(tx: Tx, actor: Actor, entry: AuditEntry): Promise<void> {
    await tx.auditEvent.create({ data: this.row(actor, entry) });
  }

  /** As {@link append}, any number of lines in one statement: thousands cost a fraction of a second. */
  async appendAll(tx: Tx, actor: Actor, entries: readonly AuditEntry[]): Promise<void> {
    if (entries.length === 0) return;
    const lines = JSON.stringify(entries.map((entry) => columnsOf(this.row(actor, entry))));
    // named, for what has a default is the database's to fill in
    await tx.$executeRaw`
      INSERT INTO audit_event (id, at, actor_kind, actor_id, actor_name, via_service_id, via_name, subject_id, action, outcome,
                               target_id, request_id, grant_id, code, details, address, correlation_id)
      SELECT id, at, actor_kind, actor_id, actor_name, via_service_id, via_name, subject_id, action, outcome,
             target_id, request_id, grant_id, code, details, address, correlation_id
        FROM jsonb_populate_recordset(NULL::audit_event, ${lines}::jsonb)`;
  }

  /**
   * A line with the columns of `audit_event`, for hand-written SQL that writes it together with something else. What a person does
   * in a call of their own names the policies that let them.
   */
  row(actor: Actor, entry: AuditEntry): Line {
    return {
      id: v7(),
      at: this.clock.now(),
      actorKind: actor.kind,
      actorId: actor.kind === 'system' ? null : actor.id,
      actorName: actor.name,
      ...viaOf(actor),
      subjectId: entry.subjectId ?? null,
      action: entry.action,
      outcome: entry.outcome ?? 'success',
      targetId: entry.targetId ?? null,
      requestId: entry.requestId ?? null,
      grantId: entry.grantId ?? null,
      code: entry.code ?? null,
      details: { ...entry.details, ...decidedBy(actor) } as Prisma.InputJsonObject,
      address: actor.kind === 'system' ? null : (actor.address ?? null),
      correlationId: actor.correlationId,
    };
  }

  async refused(error: DomainError): Promise<void> {
    if (error.kind === 'invalid' || error.kind === 'not_found') return; // nothing was refused to anybody
    const call = raisedIn(error) ?? currentCall();
    const { actor } = call ?? {};
    const entry: AuditEntry = {
      action: 'access.refused',
      outcome: error.kind === 'unavailable' ? 'failed' : 'refused',
      code: error.code,
      ...call?.subject,
      details: {
        asked: call?.action ?? 'to be known',
        message: error.message,
        ...(call?.decided && { decidedBy: call.decided }),
      },
    };
    const nobody = { actorKind: 'nobody', actorId: null, actorName: 'nobody', address: call?.address ?? null };
    const named: Actor = actor ?? { kind: 'system', name: 'nobody', correlationId: call?.correlationId ?? 'none' };
    const line = { ...this.row(named, entry), ...(actor === undefined && nobody) };
    const caller = this.counted(error, call);
    if (caller === undefined || this.tally.isFirst(caller, line, line.at)) await this.write(line);
  }

  /** By what a refusal is counted in place of having its own line: those that anybody could cause without end. */
  private counted(error: DomainError, call: Call | undefined): string | undefined {
    const who = call?.actor;
    if (who && who.kind !== 'system') return error.code === 'too_many_requests' ? who.id : undefined;
    return this.settings.anonymousCallsPerMinute === 0 ? undefined : networkOf(call?.address);
  }

  private async tellCounted(all = false): Promise<void> {
    for (const { line, refusals, since } of this.tally.due(this.clock.now(), all)) {
      const details = { ...(line.details as Prisma.InputJsonObject), refusals, since: since.toISOString() };
      // of now: who reads on from the last line that he saw must find it
      await this.write({ ...line, id: v7(), at: this.clock.now(), details });
    }
  }

  private async write(line: Line): Promise<void> {
    try {
      await this.db.client.auditEvent.create({ data: line });
    } catch (failure) {
      this.log.error({ err: failure, code: line.code }, 'a refusal could not be put on record');
    }
  }

  /** Newest first. A walk over the pages shows each line once that was there when it began. @throws DomainError `invalid_cursor` */
  async search(query: AuditQuery, scope: AuditScope): Promise<AuditEventPage> {
    const { before, take, limit } = readPage(query);
    const rows = await readLines(this.db.pool, waysTo(query, scope), before, take);
    return toPage(rows, limit, present);
  }

  async count(filter: AuditFilter, scope: AuditScope): Promise<AuditEventCount> {
    const lines = await countLines(this.db.pool, waysTo(filter, scope), MOST_COUNTED + 1);
    return { count: Math.min(lines, MOST_COUNTED), more: lines > MOST_COUNTED };
  }
}

function viaOf(actor: Actor): { viaServiceId: string | null; viaName: string | null } {
  const service = actor.kind === 'person' ? actor.via?.service : undefined;
  return { viaServiceId: service?.id ?? null, viaName: service?.name ?? null };
}

/** Jobs ask nobody, and what they do is not decided by whichever call happens to be around. */
function decidedBy(actor: Actor): { decidedBy?: DecidedBy } {
  const call = currentCall();
  return call?.actor === actor && call.decided ? { decidedBy: call.decided } : {};
}

const columnsOf = (row: ReturnType<AuditService['row']>) => ({
  ...{ id: row.id, at: row.at, action: row.action, outcome: row.outcome, code: row.code, details: row.details },
  ...{ actor_kind: row.actorKind, actor_id: row.actorId, actor_name: row.actorName, subject_id: row.subjectId },
  ...{ via_service_id: row.viaServiceId, via_name: row.viaName },
  ...{ target_id: row.targetId, request_id: row.requestId, grant_id: row.grantId },
  ...{ address: row.address, correlation_id: row.correlationId },
});

export const present = (row: AuditRow): AuditEvent => ({
  id: row.id,
  at: row.at,
  actorKind: row.actorKind,
  actorId: row.actorId,
  actorName: row.actorName,
  viaServiceId: row.viaServiceId,
  viaName: row.viaName,
  subjectId: row.subjectId,
  action: row.action,
  outcome: row.outcome as AuditOutcome,
  targetId: row.targetId,
  requestId: row.requestId,
  grantId: row.grantId,
  code: row.code,
  details: row.details as Record<string, unknown>,
  address: row.address,
  correlationId: row.correlationId,
});
