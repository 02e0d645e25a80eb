import type pg from 'pg';

/** What the real server holds for one login name, seen past Usher and past its guard. */
export interface Held {
  login: string;
  canLogin: boolean;
  groups: string[];
  /** Ends of the live leases by grant. */
  leases: Record<string, number>;
  sessions: number;
}

/** Anybody who may ask a question: a pool, or a client. */
export type Asked = Pick<pg.Pool, 'query'>;

/** One look at many logins, as rdsadmin; a name that the server does not know holds nothing. */
export async function held(admin: Asked, logins: readonly string[]): Promise<Map<string, Held>> {
  const { rows } = await admin.query<Held>(
    `SELECT n.login, coalesce(r.rolcanlogin, false) AS "canLogin",
            ARRAY(SELECT DISTINCT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                   WHERE m.member = r.oid AND g.rolname <> 'usher_managed' ORDER BY 1) AS groups,
            coalesce((SELECT jsonb_object_agg(l.grant_id, (extract(epoch FROM l.ends_at) * 1000)::bigint)
                        FROM usher.lease l WHERE l.login = n.login AND l.closed_at IS NULL), '{}') AS leases,
            (SELECT count(*)::int FROM pg_stat_activity a WHERE a.usename = n.login) AS sessions
       FROM unnest($1::text[]) AS n(login) LEFT JOIN pg_roles r ON r.rolname = n.login`,
    [[...logins]],
  );
  return new Map(rows.map((row) => [row.login, row]));
}

/** A grant that the store says is live. */
export interface Live {
  id: string;
  login: string;
  groups: string[];
  endsAt: number;
  /** Where its IAM policy is, in attached mode. */
  principal: string | null;
}

/** @param owner of Usher's own database */
export async function liveGrants(owner: Asked, targetId: string): Promise<Live[]> {
  const { rows } = await owner.query<Live>(
    `SELECT id, login, groups, (extract(epoch FROM ends_at) * 1000)::float8 AS "endsAt", principal_arn AS principal
       FROM access_grant WHERE target_id = $1 AND state = 'active' AND ends_at > clock_timestamp()`,
    [targetId],
  );
  return rows;
}

/** Every name on a server that Usher made, or that is in one of these groups, or that has a session and is no servant. */
export async function everyLogin(admin: Asked, groups: readonly string[]): Promise<string[]> {
  const { rows } = await admin.query<{ name: string }>(
    `SELECT name FROM usher.login
      UNION SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member JOIN pg_roles g ON g.oid = m.roleid
             WHERE g.rolname = ANY ($1) AND r.rolname <> 'usher_owner' AND r.rolname <> ALL ($2)
      UNION SELECT usename FROM pg_stat_activity WHERE usename <> ALL ($2)`,
    [[...groups], servants],
  );
  return rows.map(({ name }) => name);
}

/** Of the stand-in and the guard, and the DBA, who holds what is theirs to give. */
const servants = ['rdsadmin', 'rdsmaster', 'usher_broker', 'usher_owner', 'usher_keeper'];

/**
 * Where a server and the store differ, in words: rights, leases or sessions that no live grant gives, and live grants that
 * do not give what they say.
 */
export function differences(held: ReadonlyMap<string, Held>, live: readonly Live[]): string[] {
  const unknown = live
    .filter(({ login }) => !held.has(login))
    .map(({ login }) => `${login} has a live grant and no login`);
  return [...unknown, ...[...held.values()].flatMap((one) => differencesOf(one, live))];
}

function differencesOf({ login, canLogin, groups, leases, sessions }: Held, all: readonly Live[]): string[] {
  const live = all.filter((grant) => grant.login === login);
  const should = new Set(live.flatMap((grant) => grant.groups));
  if (live.length > 0) should.add('rds_iam');
  const found: string[] = [];
  if (canLogin !== live.length > 0)
    found.push(canLogin ? 'may log in, and no grant lives' : 'may not log in, and should');
  for (const group of groups) if (!should.has(group)) found.push(`is a member of ${group} by no live grant`);
  for (const group of should) if (!groups.includes(group)) found.push(`is no member of ${group}, and should be`);
  for (const id of Object.keys(leases))
    if (!live.some((grant) => grant.id === id)) found.push(`has a lease of grant ${id}, which does not live`);
  for (const { id, endsAt } of live)
    if (leases[id] !== endsAt)
      found.push(`has grant ${id} until ${endsAt}, and its lease says ${leases[id] ?? 'nothing'}`);
  if (sessions > 0 && live.length === 0) found.push(`has ${sessions} sessions, and no grant lives`);
  return found.map((what) => `${login} ${what}`);
}

/**
 * Gaps in the record, in words: each move of a grant that the database wrote down must have its line, in the same order;
 * and whoever moved an end, the last line about it must tell the end that the grant has.
 * @param owner of Usher's own database
 * @param grants ids; all when left out
 */
export async function gapsInRecord(owner: Asked, grants: readonly string[] | null = null): Promise<string[]> {
  const { rows } = await owner.query<{ id: string; moves: string[]; lines: string[]; ends: Date; told: Date | null }>(
    `SELECT g.id, g.ends_at AS ends,
            (SELECT coalesce(details->>'now', details->>'endsAt') FROM audit_event
              WHERE grant_id = g.id AND action IN ('grant.create', 'grant.extend', 'grant.shorten') ORDER BY id DESC LIMIT 1
            )::timestamptz AS told,
            coalesce(h.moves, ARRAY[g.state::text]) AS moves, coalesce(a.lines, '{}') AS lines
       FROM access_grant g
       LEFT JOIN LATERAL (
         SELECT array_prepend((array_agg(from_state::text ORDER BY id))[1], array_agg(to_state::text ORDER BY id)) AS moves
           FROM grant_history WHERE grant_id = g.id) h ON h.moves IS NOT NULL
       LEFT JOIN LATERAL (
         SELECT array_agg(CASE action WHEN 'grant.create' THEN details->>'state' ELSE substr(action, 7) END ORDER BY id) AS lines
           FROM audit_event
          WHERE grant_id = g.id AND action IN ('grant.create', 'grant.opening', 'grant.active', 'grant.closing', 'grant.closed', 'grant.failed')) a ON true
      WHERE $1::uuid[] IS NULL OR g.id = ANY ($1)`,
    [grants],
  );
  return rows.flatMap(({ id, moves, lines, ends, told }) => [
    ...(moves.join() === lines.join()
      ? []
      : [`grant ${id} went ${moves.join(' > ')}, and the record says ${lines.join(' > ')}`]),
    ...(told?.getTime() === ends.getTime()
      ? []
      : [`grant ${id} ends at ${ends.toISOString()}, and the record says ${told?.toISOString() ?? 'nothing'}`]),
  ]);
}

/** How many lines tell of a token or password that was given for each of these grants. */
export async function mintLines(owner: Asked, grants: readonly string[]): Promise<Map<string, number>> {
  const { rows } = await owner.query<{ id: string; lines: number }>(
    `SELECT grant_id AS id, count(*)::int AS lines FROM audit_event
      WHERE action IN ('token.mint', 'password.issue') AND outcome = 'success' AND grant_id = ANY ($1) GROUP BY 1`,
    [[...grants]],
  );
  return new Map(rows.map(({ id, lines }) => [id, lines]));
}

/** Grants on their way, past their end, or with an end that the target has yet to hear of: what is not at rest. */
export async function restless(owner: Asked): Promise<string[]> {
  const { rows } = await owner.query<{ what: string }>(
    `SELECT format('%s is %s after %s attempts: %s', id, state, attempts, coalesce(last_error, 'no error')) AS what
       FROM access_grant
      WHERE state IN ('opening', 'closing') OR (state = 'active' AND next_attempt_at IS NOT NULL) OR (state IN ('scheduled', 'active') AND ends_at < clock_timestamp() + interval '30 s')`,
  );
  return rows.map(({ what }) => what);
}

/** A database user as `written` names it. */
export const userIn = (resourceId: string, login: string): string => `dbuser:${resourceId}/${login}`;

/** Whom the policies of this principal name, in order; a managed one, which so few grants never need, by its ARN. */
export function written({ inline, attached }: Carrier): string {
  const resources = [...inline.values()].flatMap(({ text }) => {
    const { Statement } = JSON.parse(text) as { Statement: { Resource: string | string[] }[] };
    return Statement.flatMap(({ Resource }) => Resource);
  });
  const users = resources.map((arn) => arn.replace(/^arn:aws:rds-db:eu-west-1:\d{12}:(?=dbuser:)/, ''));
  return [...users, ...attached].sort().join();
}

/** An IAM user or role of the stand-in. */
interface Carrier {
  inline: ReadonlyMap<string, { text: string }>;
  attached: ReadonlySet<string>;
}
