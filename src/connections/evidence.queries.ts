import { nameBehind } from '../identity/login-name.js';
import type { Tx } from '../platform/state/database.js';
import type { GrantPeriod, Mint } from './match.js';

/** What tells whose some sessions are, read for all of them at once. */
export interface Evidence {
  /** Ids of persons by the login of theirs. */
  owners: ReadonlyMap<string, string>;
  grants: readonly GrantPeriod[];
  mints: readonly Mint[];
  /** Client addresses by person. */
  addresses: ReadonlyMap<string, ReadonlySet<string>>;
}

/** What matching reaches back: a token's 15 minutes, and as much again for clocks. */
const MINTED_MS = 30 * 60_000;

/**
 * @param logins of sessions on one target
 * @param since when the first of these sessions began
 */
export async function evidenceOf(db: Tx, targetId: string, logins: readonly string[], since: Date): Promise<Evidence> {
  const owners = await ownersOf(db, logins);
  if (owners.size === 0) return { owners, grants: [], mints: [], addresses: new Map() };
  const [grants, addresses] = await Promise.all([
    grantsOf(db, targetId, [...owners.keys()], since),
    addressesOf(db, [...new Set(owners.values())]),
  ]);
  const mints = await mintsOf(
    db,
    grants.map(({ id }) => id),
    since,
  );
  return { owners, grants, mints, addresses };
}

/** A login for passwords is its person's as well. */
async function ownersOf(db: Tx, logins: readonly string[]): Promise<Map<string, string>> {
  const names = await db.loginName.findMany({ where: { name: { in: [...new Set(logins.map(nameBehind))] } } });
  const byName = new Map(names.map(({ name, personId }) => [name, personId]));
  return new Map(
    logins.flatMap((login) => {
      const owner = byName.get(nameBehind(login));
      return owner === undefined ? [] : [[login, owner] as const];
    }),
  );
}

/** Those that could have been live since then; the newest hundred of each login, should it have more. */
const grantsOf = (db: Tx, targetId: string, logins: string[], since: Date): Promise<GrantPeriod[]> =>
  db.$queryRaw<GrantPeriod[]>`
    SELECT g.id::text AS id, g.person_id::text AS "personId", g.login, g.method::text AS method, g.mode::text AS mode,
           g.opened_at AS "openedAt", g.ends_at AS "endsAt",
           least(g.closing_since, g.closed_at) AS "closedAt"
      FROM unnest(${logins}::text[]) AS l (login) CROSS JOIN LATERAL (
        SELECT * FROM access_grant WHERE target_id = ${targetId}::uuid AND login = l.login AND opened_at IS NOT NULL
           AND (closed_at IS NULL OR closed_at > ${new Date(since.getTime() - MINTED_MS)}::timestamptz)
         ORDER BY id DESC LIMIT 100) g`;

const mintsOf = (db: Tx, grantIds: string[], since: Date): Promise<Mint[]> =>
  db.$queryRaw<Mint[]>`
    SELECT id::text AS id, grant_id::text AS "grantId", details->>'endpoint' AS endpoint, details->>'host' AS host,
           (details->>'port')::int AS port, at, (details->>'expiresAt')::timestamptz AS "expiresAt"
      FROM audit_event WHERE grant_id = ANY (${grantIds}::uuid[]) AND action = 'token.mint' AND outcome = 'success'
       AND at > ${new Date(since.getTime() - MINTED_MS)}::timestamptz`;

/** One probe of the index for each address that differs, however many sessions came from it. */
async function addressesOf(db: Tx, personIds: string[]): Promise<Map<string, Set<string>>> {
  const rows = await db.$queryRaw<{ person: string; addresses: string[] }[]>`
    SELECT p.id::text AS person, ARRAY(
      WITH RECURSIVE next AS (
        (SELECT client_address AS a FROM connection WHERE person_id = p.id AND client_address IS NOT NULL ORDER BY client_address LIMIT 1)
        UNION ALL
        SELECT (SELECT c.client_address FROM connection c WHERE c.person_id = p.id AND c.client_address > next.a ORDER BY c.client_address LIMIT 1)
          FROM next WHERE next.a IS NOT NULL)
      SELECT a FROM next WHERE a IS NOT NULL LIMIT 10000) AS addresses
      FROM unnest(${personIds}::uuid[]) AS p (id)`;
  return new Map(rows.map(({ person, addresses }) => [person, new Set(addresses)]));
}
