import { Gauge, type Registry } from 'prom-client';
import { ConnectionFlag } from '../connections/connections.contract.js';
import type { Database } from '../platform/state/database.js';

/** A session may be gone before anybody asks for its flag. */
const RECENT_MINUTES = 5;

const FLAGS = `
  SELECT kind, count(*)::int AS count FROM (
    SELECT f.kind, f.connection_id FROM connection c JOIN connection_flag f ON f.connection_id = c.id WHERE c.ended_at IS NULL
    UNION SELECT kind, connection_id FROM connection_flag WHERE raised_at > clock_timestamp() - make_interval(mins => ${RECENT_MINUTES})) f
   GROUP BY kind`;

const LOOKS = `
  SELECT count(*) FILTER (WHERE failing_since IS NOT NULL)::int AS failing,
         coalesce(extract(epoch FROM clock_timestamp() - min(coalesce(l.looked_at, t.created_at))), 0)::float8 AS oldest
    FROM endpoint_look l JOIN endpoint e ON e.id = l.endpoint_id JOIN target t ON t.id = e.target_id AND t.deleted_at IS NULL`;

const LOGS = `
  SELECT coalesce((SELECT extract(epoch FROM clock_timestamp() - min(e.at)) / 86400
                     FROM target t CROSS JOIN LATERAL (SELECT min(at) AS at FROM server_log_event WHERE target_id = t.id) e), 0)::float8 AS oldest,
         coalesce((SELECT sum(events) FROM server_log_expiry), 0)::float8 AS deleted`;

/** Who connects in a way that should be looked at, and whether anybody looks. Names nothing. */
export class ConnectionGauges {
  private readonly flags: Gauge<'kind'>;
  private readonly failing: Gauge;
  private readonly oldest: Gauge;
  private readonly oldestLogged: Gauge;
  private readonly deleted: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    const about = 'Flags of sessions that are there, or raised within the last five minutes, by kind';
    this.flags = new Gauge({ name: 'usher_connection_flags', help: about, labelNames: ['kind'], registers });
    const unanswered = 'Endpoints whose last look at who is connected brought no answer';
    this.failing = new Gauge({ name: 'usher_endpoints_unanswered', help: unanswered, registers });
    const age = 'Seconds since the endpoint that was looked at longest ago was looked at';
    this.oldest = new Gauge({ name: 'usher_endpoint_look_last_seconds', help: age, registers });
    const kept = 'Days since the oldest event that is kept of the logs of targets';
    this.oldestLogged = new Gauge({ name: 'usher_server_log_oldest_days', help: kept, registers });
    const gone = 'Events of the logs of targets that were deleted as older than the retention, by all processes';
    this.deleted = new Gauge({ name: 'usher_server_log_deleted', help: gone, registers });
  }

  async read(db: Pick<Database, 'pool'>): Promise<void> {
    const [flags, looks, logs] = await Promise.all([
      db.pool.query<{ kind: string; count: number }>(FLAGS),
      db.pool.query<{ failing: number; oldest: number }>(LOOKS),
      db.pool.query<{ oldest: number; deleted: number }>(LOGS),
    ]);
    const counted = new Map(flags.rows.map(({ kind, count }) => [kind, count]));
    for (const kind of Object.values(ConnectionFlag)) this.flags.set({ kind }, counted.get(kind) ?? 0);
    this.failing.set(looks.rows[0]?.failing ?? 0);
    this.oldest.set(Math.max(0, looks.rows[0]?.oldest ?? 0));
    this.oldestLogged.set(Math.max(0, logs.rows[0]?.oldest ?? 0));
    this.deleted.set(logs.rows[0]?.deleted ?? 0);
  }
}
