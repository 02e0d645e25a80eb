import pg from 'pg';

/** What a login has in one database, before and after. */
export interface Held {
  parked: string[];
  ended: string[];
  left: string[];
  why: string | null;
  remedies: string[];
  takeBack: string[];
}

/** One thing that depends on a login, as PostgreSQL describes it. */
export interface Thing {
  what: string;
  /** Owned, and can be owned by somebody else: not a right, a default privilege or a user mapping. */
  movable: boolean;
  /** For a right on an object: what takes it back. */
  revoke: string | null;
}

/** Everything that keeps a login from being dropped, as seen from this database: its own objects, and those of the cluster. */
export async function heldHere(client: pg.Client, login: string): Promise<Thing[]> {
  const { rows } = await client.query<Thing>(
    `SELECT s.deptype = 'o' AND s.classid NOT IN ('pg_default_acl'::regclass, 'pg_user_mapping'::regclass) AS movable,
            CASE WHEN s.deptype IN ('a', 'i') THEN 'rights on ' WHEN s.deptype = 'r' THEN 'a place in ' ELSE '' END
              || pg_describe_object(s.classid, s.objid, s.objsubid) AS what,
            CASE WHEN s.deptype = 'a' THEN format('REVOKE ALL ON %s %s FROM %I;', CASE
              WHEN o.type IN ('view', 'materialized view', 'foreign table') THEN 'TABLE'
              WHEN o.type = 'server' THEN 'FOREIGN SERVER'
              ELSE translate(upper(o.type), '-', ' ') END, o.identity, $1::text) END AS revoke
       FROM pg_shdepend s, pg_identify_object(s.classid, s.objid, 0) o
      WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = (SELECT oid FROM pg_roles WHERE rolname = $1::text)
        AND s.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
        AND s.classid <> 'pg_auth_members'::regclass
      ORDER BY 1 DESC, 2`,
    [login],
  );
  return rows;
}

const described = (things: readonly Thing[], movable: boolean): string[] =>
  things.filter((thing) => thing.movable === movable).map(({ what }) => what);

/** Parks what is owned here and takes the rights, in one transaction: all of it, or nothing with the reason. */
export async function park(client: pg.Client, login: string): Promise<Held> {
  const before = await heldHere(client, login);
  try {
    await client.query('BEGIN');
    for (const sql of await handOver(client, login)) await client.query(sql);
    const still = described(await heldHere(client, login), true);
    // DROP OWNED destroys what is still owned: it must not be reached then
    if (still.length > 0) throw new Error(`still owned after REASSIGN OWNED: ${still.join(', ')}`);
    for (const sql of await asSql(client, [`format('DROP OWNED BY %I', $1::text)`], login)) await client.query(sql);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    if (!(error instanceof Error)) throw error;
    const remedies = [
      ...remediesFor(error, { database: client.database ?? '', dba: client.user ?? '' }),
      ...(await creators(client, login)),
    ];
    const left = before.map(({ what }) => what);
    return { parked: [], ended: [], left, why: error.message, remedies: [...new Set(remedies)], takeBack: [] };
  }
  const after = await heldHere(client, login);
  const left = after.map(({ what }) => what);
  return {
    parked: described(before, true),
    ended: described(before, false).filter((what) => !left.includes(what)),
    left,
    // DROP OWNED takes only what its caller could revoke as well
    why: left.length > 0 ? 'only the owner of the object, or who granted it, can take that back' : null,
    remedies: after.flatMap(({ revoke }) => revoke ?? []),
    takeBack: await created(client),
  };
}

/** What {@link park} would do, and what it would need first. */
export async function lookAhead(client: pg.Client, login: string): Promise<Held> {
  const before = await heldHere(client, login);
  const remedies = await creators(client, login);
  const [parked, ended] = [described(before, true), described(before, false)];
  const why = remedies.length > 0 ? 'rights that the parking needs are missing' : null;
  return { parked, ended, left: [], why, remedies, takeBack: [] };
}

/** A schema first: the new owner of a function must be able to create where the function stands. */
async function handOver(client: pg.Client, login: string): Promise<string[]> {
  const { rows } = await client.query<{ sql: string }>(
    `SELECT format('ALTER SCHEMA %I OWNER TO usher_parked', nspname) AS sql FROM pg_namespace
      WHERE nspowner = (SELECT oid FROM pg_roles WHERE rolname = $1) ORDER BY 1`,
    [login],
  );
  return [
    ...rows.map(({ sql }) => sql),
    ...(await asSql(client, [`format('REASSIGN OWNED BY %I TO usher_parked', $1::text)`], login)),
  ];
}

/** Names are quoted by the server. */
async function asSql(client: pg.Client, formats: readonly string[], ...values: string[]): Promise<string[]> {
  const { rows } = await client.query<{ sql: string }>(`SELECT unnest(ARRAY[${formats.join(',')}]) AS sql`, values);
  return rows.map(({ sql }) => sql);
}

/**
 * Rights that the new owner, or the DBA, lacks here for the hand-over. Tables, views, sequences and types ask for none; whatever
 * else stands in a schema asks that its owner may create there, unless the schema itself goes too.
 */
async function creators(client: pg.Client, login: string): Promise<string[]> {
  const { rows } = await client.query<{ sql: string }>(
    `WITH me AS (SELECT oid FROM pg_roles WHERE rolname = $1), owned AS (
       SELECT s.classid, s.objid, (pg_identify_object(s.classid, s.objid, 0)).schema AS schema FROM pg_shdepend s, me
        WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = me.oid AND s.deptype = 'o'
          AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()))
     SELECT DISTINCT format('GRANT CREATE ON SCHEMA %I TO usher_parked;', n.nspname) AS sql
       FROM owned o JOIN pg_namespace n ON quote_ident(n.nspname) = o.schema OR n.nspname = o.schema, me
      WHERE o.classid NOT IN ('pg_class'::regclass, 'pg_type'::regclass, 'pg_namespace'::regclass, 'pg_default_acl'::regclass)
        AND n.nspowner <> me.oid AND NOT has_schema_privilege('usher_parked', n.oid, 'CREATE')
     UNION ALL
     SELECT format('GRANT CREATE ON DATABASE %I TO %I;', current_database(), current_user)
      WHERE EXISTS (SELECT 1 FROM owned WHERE classid = 'pg_namespace'::regclass)
        AND NOT has_database_privilege(current_database(), 'CREATE')
     UNION ALL
     SELECT format('GRANT CREATE ON DATABASE %I TO usher_parked;', current_database())
      WHERE EXISTS (SELECT 1 FROM owned WHERE classid = 'pg_publication'::regclass)
        AND NOT has_database_privilege('usher_parked', current_database(), 'CREATE')
     UNION ALL
     SELECT format('GRANT USAGE ON FOREIGN DATA WRAPPER %I TO usher_parked;', w.fdwname)
       FROM owned o JOIN pg_foreign_server f ON o.classid = 'pg_foreign_server'::regclass AND f.oid = o.objid
       JOIN pg_foreign_data_wrapper w ON w.oid = f.srvfdw
      WHERE NOT has_foreign_data_wrapper_privilege('usher_parked', w.oid, 'USAGE')
     ORDER BY 1`,
    [login],
  );
  return rows.map(({ sql }) => sql);
}

/** usher_parked is to be able to do nothing: what was lent to it for a hand-over is named until it is gone. */
async function created(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ sql: string }>(
    `SELECT format('REVOKE CREATE ON SCHEMA %I FROM usher_parked;', n.nspname) AS sql FROM pg_namespace n, aclexplode(n.nspacl) a
      WHERE a.grantee = to_regrole('usher_parked') AND a.privilege_type = 'CREATE' AND n.nspowner <> a.grantee ORDER BY 1`,
  );
  return rows.map(({ sql }) => sql);
}

/** Of a failure that no catalog foretells. */
export function remediesFor(error: unknown, { database, dba }: { database: string; dba: string }): string[] {
  if (!(error instanceof pg.DatabaseError)) return [];
  const name = pg.escapeIdentifier;
  if (error.code === '42501' && /permission denied for database/.test(error.message)) {
    const right = error.severity === 'FATAL' ? 'CONNECT' : 'CREATE';
    return [`GRANT ${right} ON DATABASE ${name(database)} TO ${name(dba)};`];
  }
  return [];
}
