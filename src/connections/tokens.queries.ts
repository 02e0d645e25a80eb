import type { Prisma } from '../generated/prisma/client.js';
import type { Database } from '../platform/state/database.js';
import { asId } from '../platform/page.js';
import type { GrantRow } from '../grants/grant.js';
import type { GrantFacts, ProfileFacts } from '../policy/policy.contract.js';
import { targetFacts } from '../targets/target.js';

/** What policy is asked about. */
export const factsOf = ({ id, personId, profile, target, endsAt }: Mintable, live: boolean): GrantFacts => ({
  id,
  holderId: personId,
  profile: { ...profile, target: targetFacts(target) },
  live,
  expiresAt: endsAt,
});

/**
 * Which versions of its rows a grant was read from: `xmin` is the transaction that wrote a row (PostgreSQL manual, 5.6), and
 * each change of a row is a new one.
 */
const VERSION = `concat_ws('.', g.xmin, f.xmin, t.xmin,
  (SELECT string_agg(e.xmin::text, '.' ORDER BY e.id) FROM endpoint e WHERE e.target_id = t.id))`;

/**
 * A grant with person, profile, target and endpoints in one statement: minting is the hot path, and four reads would be
 * most of its cost.
 */
const MINTABLE = `
  SELECT ${VERSION} AS version, g.id, g.request_id AS "requestId", g.target_id AS "targetId", g.person_id AS "personId", g.login, g.database, g.method, g.mode,
         (SELECT r.ticket FROM request r WHERE r.id = g.request_id) AS ticket, g.state, g.starts_at AS "startsAt", g.ends_at AS "endsAt",
         json_build_object('id', f.id, 'readOnly', f.read_only, 'sensitivity', f.sensitivity, 'approvalsNeeded', f.approvals_needed, 'maxMinutes', f.max_minutes,
           'managesPasswords', f.manages_passwords) AS profile,
         json_build_object('id', t.id, 'name', t.name, 'environment', t.environment, 'ownerGroup', t.owner_group, 'enabled', t.enabled, 'lockedAt', t.locked_at,
           'deletedAt', t.deleted_at, 'tags', t.tags, 'partition', t.partition, 'region', t.region, 'accountId', t.account_id, 'resourceId', t.resource_id,
           'connectRole', t.connect_role, 'caIdentifier', t.ca_identifier,
           'engineMode', t.engine_mode) AS target,
         (SELECT json_agg(json_build_object('id', e.id, 'kind', e.kind, 'connectHost', e.connect_host, 'tokenHost', e.token_host, 'port', e.port) ORDER BY e.id)
            FROM endpoint e WHERE e.target_id = t.id) AS endpoints
    FROM access_grant g JOIN profile f ON f.id = g.profile_id JOIN target t ON t.id = g.target_id
   WHERE g.id = $1`;

type TargetPart = Pick<
  GrantRow['target'],
  | 'id'
  | 'name'
  | 'environment'
  | 'ownerGroup'
  | 'enabled'
  | 'lockedAt'
  | 'deletedAt'
  | 'tags'
  | 'partition'
  | 'region'
  | 'accountId'
  | 'resourceId'
  | 'connectRole'
  | 'caIdentifier'
  | 'engineMode'
  | 'endpoints'
>;
/** What a token is decided and made from. */
export type Mintable = Pick<
  GrantRow,
  | 'id'
  | 'requestId'
  | 'targetId'
  | 'personId'
  | 'login'
  | 'database'
  | 'method'
  | 'mode'
  | 'state'
  | 'startsAt'
  | 'endsAt'
> & {
  /** Of all the rows it was read from; see {@link recordIfUnchanged}. */
  version: string;
  /** Of the request that the grant came from. */
  ticket: string | null;
  profile: Pick<GrantRow['profile'], 'id' | 'readOnly' | 'approvalsNeeded' | 'maxMinutes' | 'managesPasswords'> &
    Pick<ProfileFacts, 'sensitivity'>;
  target: TargetPart;
};

export async function mintable(db: Database, id: string): Promise<Mintable | undefined> {
  const { rows } = await db.pool.query<
    Omit<Mintable, 'target'> & { target: Omit<TargetPart, 'endpoints'>; endpoints: TargetPart['endpoints'] | null }
  >({
    name: 'mintable',
    text: MINTABLE,
    values: [asId(id, 'grant id')],
  });
  const [row] = rows;
  if (!row) return undefined;
  const { endpoints, ...grant } = row;
  return { ...grant, target: { ...grant.target, endpoints: endpoints ?? [] } };
}

const COLUMNS = `id, at, actor_kind, actor_id, actor_name, subject_id, action, outcome, target_id, request_id, grant_id, code, details, address, correlation_id, via_service_id, via_name`;
const VALUES = `$1, $2, $3, $4, $5, $6, $7, $8::"Outcome", $9, $10, $11, $12, $13, $14, $15, $16, $17`;
const LIVE = `g.id = $11::uuid AND g.state = 'active' AND g.ends_at > $2::timestamptz`;

/**
 * Writes the line only if the grant is live at this very moment, in one statement. Without a lock on the grant: a stream of
 * tokens would keep a revoke waiting for its row, and what began before the revoke was committed came before it.
 */
const RECORD = {
  name: 'record-while-live',
  text: `INSERT INTO audit_event (${COLUMNS}) SELECT ${VALUES} FROM access_grant g WHERE ${LIVE}`,
};

/** The same, and only if all that was decided on still stands as it was read. */
const RECORD_UNCHANGED = {
  name: 'record-if-unchanged',
  text: `INSERT INTO audit_event (${COLUMNS}) SELECT ${VALUES}
           FROM access_grant g JOIN profile f ON f.id = g.profile_id JOIN target t ON t.id = g.target_id
          WHERE ${LIVE} AND ${VERSION} = $18::text`,
};

type Line = Prisma.AuditEventUncheckedCreateInput;

/** @returns false when the grant is not live any more: nothing was written, and no token or password may leave */
export async function recordWhileLive(db: Database, line: Line): Promise<boolean> {
  const { rowCount } = await db.pool.query({ ...RECORD, values: valuesOf(line) });
  return rowCount === 1;
}

/** @returns false when the grant is not live any more, or a row of it was changed since: nothing was written */
export async function recordIfUnchanged(db: Database, line: Line, version: string): Promise<boolean> {
  const { rowCount } = await db.pool.query({ ...RECORD_UNCHANGED, values: [...valuesOf(line), version] });
  return rowCount === 1;
}

const valuesOf = (line: Line): unknown[] => [
  line.id,
  line.at,
  line.actorKind,
  line.actorId,
  line.actorName,
  line.subjectId,
  line.action,
  line.outcome,
  line.targetId,
  line.requestId,
  line.grantId,
  line.code,
  JSON.stringify(line.details),
  line.address,
  line.correlationId,
  line.viaServiceId,
  line.viaName,
];
