import pg from 'pg';
import type { RdsInstance } from '../../local/rds/instance.ts';
import type { StandIn } from '../../local/stand-in.ts';
import type { Reached, TargetName } from './stage.ts';

/** What a login role has on a target, as rdsadmin sees it: past Usher and past its guard. */
export interface Holdings {
  canLogin: boolean;
  memberships: string[];
  sessions: number;
  /** Ids of grants. */
  leases: string[];
}

export const nothing: Holdings = { canLogin: false, memberships: [], sessions: 0, leases: [] };

export const holdings = ({ standIn }: Pick<Reached, 'standIn'>, target: TargetName, login: string): Promise<Holdings> =>
  holdingsOn(standIn.targets[target].rds, login);

/** The same of any server of a stand-in. */
export async function holdingsOn(rds: Pick<RdsInstance, 'admin'>, login: string): Promise<Holdings> {
  const { rows } = await within(rds, (admin) =>
    admin.query<Holdings>(
      `SELECT coalesce((SELECT rolcanlogin FROM pg_roles WHERE rolname = $1), false) AS "canLogin",
              ARRAY(SELECT DISTINCT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                     WHERE m.member = to_regrole(quote_ident($1)) AND g.rolname <> 'usher_managed' ORDER BY 1) AS memberships,
              (SELECT count(*)::int FROM pg_stat_activity WHERE usename = $1) AS sessions,
              ARRAY(SELECT grant_id FROM usher.lease WHERE login = $1 AND closed_at IS NULL ORDER BY 1) AS leases`,
      [login],
    ),
  );
  const [found] = rows;
  if (!found) throw new Error('no row');
  return found;
}

export const asAdmin = <T>(standIn: StandIn, target: TargetName, work: (admin: pg.Client) => Promise<T>): Promise<T> =>
  within(standIn.targets[target].rds, work);

async function within<T>(rds: Pick<RdsInstance, 'admin'>, work: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = new pg.Client({ ...rds.admin(), database: 'postgres' });
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}

/** As the DBA of a target. */
export async function asMaster<T>(
  standIn: StandIn,
  target: TargetName,
  database: string,
  work: (master: pg.Client) => Promise<T>,
): Promise<T> {
  const { rds } = standIn.targets[target];
  const [endpoint] = rds.endpoints;
  const master = new pg.Client({
    host: endpoint?.host ?? '',
    port: endpoint?.port ?? 0,
    database,
    ...rds.master,
    ssl: { ca: rds.caPem },
  });
  await master.connect();
  try {
    return await work(master);
  } finally {
    await master.end();
  }
}
