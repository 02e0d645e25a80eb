/**
 * To which session a statement in the log belongs, as SQL: there may be millions, and a tie of each would be a second copy of them.
 * Pids are used again, and a text log has neither session nor fractions of a second: where two sessions could be it, it is tied to none.
 */

/** How far the text of an event's time may be behind the event: it is cut off, to the second or to the millisecond. */
const CUT = `CASE WHEN e.to_the_millisecond THEN interval '2 ms' ELSE interval '1 s' END`;

/** The end of a session is known by the broker's clock, and that of the target to some two seconds. */
const END_SECONDS = 5;

/** Seconds between the start that a look or the log tells and the one in `%c`. */
const START_SECONDS = 2;

/** A start in whole seconds is one that a text log has told, and lies within that second. */
const roundedUp = (start: string): string =>
  `${start} + CASE WHEN ${start} = date_trunc('second', ${start}) THEN interval '1 s' ELSE interval '0 s' END`;

/** An endpoint, or the one that leads to the same server and under which its sessions stand. */
const serverOf = (alias: string): string =>
  `coalesce((SELECT s.same_as FROM endpoint_look s WHERE s.endpoint_id = ${alias}.endpoint_id), ${alias}.endpoint_id)`;

/** The end of a session, a row `k` of `connection` with the last look `l` at its endpoint, by the target's clock, and some seconds. */
export const ENDED = `coalesce(k.ended_at + make_interval(secs => coalesce(l.clock_ahead_ms, 0) / 1000 + ${END_SECONDS}), 'infinity')`;

/** `%c` in csv and json: the start of the process in seconds and its pid, hexadecimal. */
const SAME_PROCESS = `(e.session_id IS NULL OR EXISTS (
  SELECT 1 FROM generate_series(-${START_SECONDS}, ${START_SECONDS}) d
   WHERE e.session_id = to_hex(floor(extract(epoch FROM k.backend_start))::bigint + d) || '.' || to_hex(k.pid)))`;

/** Whoever has the pid later, by whatever login, has ended this session by then. */
const NEXT = `connection n WHERE n.target_id = k.target_id AND n.pid = k.pid AND n.backend_start > k.backend_start AND ${serverOf('n')} = ${serverOf('k')}`;
const PID_IS_ANOTHERS = `EXISTS (SELECT 1 FROM ${NEXT} AND n.backend_start <= e.at AND ${roundedUp('n.backend_start')} <= e.at)`;

/** The first and the last moment, by the target's clock, that an event of `k` with `l` may have. */
export const FIRST_MOMENT = `k.backend_start - interval '1 s'`;
export const LAST_MOMENT = `least(${ENDED}, (SELECT min(${roundedUp('n.backend_start')}) FROM ${NEXT}))`;

/**
 * The id of the session of `e`, a row of `server_log_event`; nothing where there is none, or more than one. A session whose start
 * may not be seen stands at 1970: of it nobody knows when it had the pid. One that stands under two names of its server is one.
 */
export const TIED = `
  SELECT (array_agg(k.id ORDER BY k.id))[1] AS id FROM connection k LEFT JOIN endpoint_look l ON l.endpoint_id = k.endpoint_id
   WHERE k.target_id = e.target_id AND k.pid = e.pid AND k.login = e.login AND k.backend_start > 'epoch' AND k.backend_start < e.at + ${CUT}
     AND e.at <= ${ENDED} AND (e.endpoint_id IS NULL OR ${serverOf('k')} = ${serverOf('e')})
     AND ${SAME_PROCESS} AND NOT ${PID_IS_ANOTHERS}
  HAVING count(DISTINCT (${serverOf('k')}, k.backend_start)) = 1`;

/** The id by which {@link TIED} names the session `k`: the first of those under which the same process of its server stands. */
export const FIRST_NAME = `
  SELECT f.id FROM connection f
   WHERE f.target_id = k.target_id AND f.pid = k.pid AND f.login = k.login AND f.backend_start = k.backend_start AND ${serverOf('f')} = ${serverOf('k')}
   ORDER BY f.id LIMIT 1`;
