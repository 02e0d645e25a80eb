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

/**
 * One parameter for all rows: a log has thousands in a megabyte. What is there already stays as it is, and what is older than it would
 * be kept is left out: a file that is found anew, after its target read another, does not bring back what was let go.
 */
export async function insertEvents(tx: Tx, rows: readonly EventColumns[]): Promise<void> {
  await tx.$executeRaw`
    INSERT INTO server_log_event (id, target_id, endpoint_id, file_id, "offset", kind, at, to_the_millisecond, pid, session_id,
                                  started_at, address, port, login, database, details)
    SELECT r.id, r."targetId", r."endpointId", r."fileId", r."offset", r.kind, r.at, r."toTheMillisecond", r.pid, r."sessionId",
           r."startedAt", r.address, r.port, r.login, r.database, r.details
      FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS r(
           id uuid, "targetId" uuid, "endpointId" uuid, "fileId" uuid, "offset" bigint, kind text, at timestamptz,
           "toTheMillisecond" boolean, pid integer, "sessionId" text, "startedAt" timestamptz, address text, port integer,
           login text, database text, details jsonb)
     WHERE r.at >= coalesce((SELECT now() - make_interval(days => days) FROM server_log_retention), '-infinity')
    ON CONFLICT (file_id, "offset") DO NOTHING`;
}
