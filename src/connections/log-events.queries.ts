import { v7 } from 'uuid';
import type { Tx } from '../platform/state/database.js';

/** An event as its row. */
export interface EventColumns {
  readonly id: string;
  readonly targetId: string;
  readonly endpointId: string | null;
  readonly fileId: string;
  readonly offset: number;
  readonly kind: string;
  readonly at: Date;
  readonly toTheMillisecond: boolean;
  readonly pid: number;
  readonly sessionId: string | null;
  readonly startedAt: Date | null;
  readonly address: string | null;
  readonly port: number | null;
  readonly login: string | null;
  readonly database: string | null;
  readonly details: object;
}

/** From when to when the events are that were left out, by the clock of the target. */
export interface LeftOut {
  readonly from: Date;
  readonly to: Date;
}

/**
 * One parameter for all rows: a log has thousands in a megabyte. What is there already stays as it is, and what is older than it would
 * be kept is left out: a file that is found anew, after its target read another, does not bring back what was let go.
 * @returns what was left out; undefined when nothing was
 */
export async function insertEvents(tx: Tx, rows: readonly EventColumns[]): Promise<LeftOut | undefined> {
  const [left] = await tx.$queryRaw<{ from: Date | null; to: Date | null }[]>`
    WITH given AS (
      SELECT r.*, r.at >= coalesce((SELECT now() - make_interval(days => days) FROM server_log_retention), '-infinity') AS kept
        FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS r(
             id uuid, "targetId" uuid, "endpointId" uuid, "fileId" uuid, "offset" bigint, kind text, at timestamptz,
             "toTheMillisecond" boolean, pid integer, "sessionId" text, "startedAt" timestamptz, address text, port integer,
             login text, database text, details jsonb)), inserted AS (
      INSERT INTO server_log_event (id, target_id, endpoint_id, file_id, "offset", kind, at, to_the_millisecond, pid, session_id,
                                    started_at, address, port, login, database, details)
      SELECT g.id, g."targetId", g."endpointId", g."fileId", g."offset", g.kind, g.at, g."toTheMillisecond", g.pid, g."sessionId",
             g."startedAt", g.address, g.port, g.login, g.database, g.details
        FROM given g WHERE g.kept
      ON CONFLICT (file_id, "offset") DO NOTHING)
    SELECT min(g.at) AS "from", max(g.at) AS "to" FROM given g WHERE NOT g.kept`;
  return left?.from && left.to ? { from: left.from, to: left.to } : undefined;
}

/**
 * Says that what a file told of this time is not kept: one gap for each file, however many parts it is read in, and however often.
 * It is a gap that nothing ends: the lines are read, and gone nevertheless.
 */
export async function noteLeftOut(
  tx: Tx,
  file: { targetId: string; endpointId: string | null; name: string },
  { from, to }: LeftOut,
): Promise<void> {
  const detail = `Lines of the log file ${file.name} were older than lines are kept when they were read, and are left out.`;
  const { targetId, endpointId } = file;
  const where = { targetId, endpointId, kind: 'log_lost', detail };
  const known = await tx.observationGap.findFirst({ where: { ...where, to: { not: null } }, orderBy: { id: 'desc' } });
  if (known?.to)
    await tx.observationGap.update({
      where: { id: known.id },
      data: { from: from < known.from ? from : known.from, to: to > known.to ? to : known.to },
    });
  else await tx.observationGap.create({ data: { id: v7(), ...where, from, to } });
}
