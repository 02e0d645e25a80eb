/** The roles and databases of a new RDS instance, and who counts as an IAM user. See README for what is known of RDS. */
import type { Client, Pool } from 'pg';
import type { LoginMethod } from './front.ts';

export const RDS_ADMIN = 'rdsadmin';

/** Predefined roles of which rds_superuser is a member WITH ADMIN OPTION; those that the major has. */
const heldBySuperuser = [
  'pg_checkpoint',
  'pg_create_subscription',
  'pg_maintain',
  'pg_monitor',
  'pg_read_all_data',
  'pg_signal_backend',
  'pg_use_reserved_connections',
  'pg_write_all_data',
  'rds_password',
  'rds_replication',
];

export interface Inventory {
  master: string;
  databases: readonly string[];
}

/** Makes of a new cluster what AWS hands over. Run once, as rdsadmin over the private socket. */
export async function furnish(clientFor: (database: string) => Client, inventory: Inventory): Promise<void> {
  const within = async (database: string, work: (admin: Client) => Promise<void>): Promise<void> => {
    const admin = clientFor(database);
    await admin.connect();
    await work(admin).finally(() => admin.end());
  };
  await within('postgres', (admin) => createRdsRoles(admin, inventory));
  for (const database of new Set(['postgres', 'template1', ...inventory.databases]))
    await within(database, (admin) => giveSchemaPublic(admin, inventory.master));
}

async function createRdsRoles(admin: Client, { master, databases }: Inventory): Promise<void> {
  const id = (name: string): string => admin.escapeIdentifier(name);
  const version = await majorOf(admin);
  for (const role of ['rds_superuser', 'rds_iam', 'rds_ad', 'rds_password', 'rds_replication'])
    await admin.query(`CREATE ROLE ${role} NOLOGIN`);
  const { rows } = await admin.query<{ rolname: string }>('SELECT rolname FROM pg_roles WHERE rolname = ANY($1)', [
    heldBySuperuser,
  ]);
  for (const { rolname } of rows) await admin.query(`GRANT ${id(rolname)} TO rds_superuser WITH ADMIN OPTION`);
  await admin.query(
    `CREATE ROLE ${id(master)} LOGIN NOSUPERUSER INHERIT CREATEDB CREATEROLE NOREPLICATION VALID UNTIL 'infinity'`,
  );
  await admin.query(`GRANT rds_superuser TO ${id(master)}`);
  // The stock server since 16 lets only holders of ADMIN grant rds_iam, RDS also the master: this one row stands for that
  // permission, and `methodOf` does not count it as a membership.
  if (version >= 16) await admin.query(`GRANT rds_iam TO ${id(master)} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE`);
  await admin.query('CREATE DATABASE rdsadmin');
  await admin.query('REVOKE ALL ON DATABASE rdsadmin FROM PUBLIC');
  for (const database of ['postgres', 'template1'])
    await admin.query(`ALTER DATABASE ${database} OWNER TO ${id(master)}`);
  for (const database of databases) {
    if (database !== 'postgres') await admin.query(`CREATE DATABASE ${id(database)} OWNER ${id(master)}`);
  }
}

/**
 * From 15 on schema public belongs to the owner of its database, so that the master can close it. Before, the stock server
 * leaves it to the superuser; RDS gives it to the master.
 */
async function giveSchemaPublic(admin: Client, master: string): Promise<void> {
  if ((await majorOf(admin)) < 15) await admin.query(`ALTER SCHEMA public OWNER TO ${admin.escapeIdentifier(master)}`);
}

async function majorOf(admin: Client): Promise<number> {
  const { rows } = await admin.query<{ major: number }>(
    `SELECT current_setting('server_version_num')::int / 10000 AS major`,
  );
  return rows[0]?.major ?? 0;
}

/**
 * pg_hba.conf of the real server behind the fronts. Nobody reaches it but through them; it still holds the rules itself,
 * so that a front with a fault lets nobody in.
 */
export function hbaLines(master: string, major: number): string[] {
  const name = `"${master}"`;
  return [
    `local all ${RDS_ADMIN} trust`,
    `local replication ${RDS_ADMIN} trust`,
    `local all all reject`,
    `host all ${RDS_ADMIN} all reject`,
    `host ${RDS_ADMIN} all all reject`,
    // the row of createRdsRoles makes the master match +rds_iam here: which of the two it is, the front has found out
    ...(major >= 16 ? [`hostssl all ${name} 127.0.0.2/32 cert`, `hostssl all ${name} 127.0.0.1/32 scram-sha-256`] : []),
    `hostssl all +rds_iam 127.0.0.1/32 cert`,
    `host all +rds_iam all reject`,
    `hostssl all all 127.0.0.1/32 scram-sha-256`,
  ];
}

/** Every path of memberships, with or without INHERIT and SET, as `+rds_iam` in pg_hba.conf; without the master's one row. */
const membership = `
  WITH RECURSIVE up(role) AS (
    SELECT oid FROM pg_roles WHERE rolname = $1
    UNION
    SELECT m.roleid FROM up JOIN pg_auth_members m ON m.member = up.role
     WHERE NOT (m.roleid = 'rds_iam'::regrole AND m.grantor = 10 AND m.member = to_regrole($2) AND m.admin_option)
  )
  SELECT 1 FROM up WHERE role = 'rds_iam'::regrole`;

/** How the account must log in, read from the server itself at each login. */
export async function methodOf(admin: Pool, master: string, user: string): Promise<LoginMethod> {
  const { rowCount } = await admin.query(membership, [user, `"${master}"`]);
  if (rowCount === 0) return 'password';
  return user === master ? 'masterByIam' : 'iam';
}
