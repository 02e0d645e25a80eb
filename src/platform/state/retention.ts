import pg from 'pg';

/** Tables that only the owner of the database writes, by what they count in. */
type Retention = { table: 'audit_retention'; unit: 'months' } | { table: 'server_log_retention'; unit: 'days' };

/**
 * Says for how long something is kept. Whoever may not change it can start as long as there is nothing to change.
 * @param kept 0: for ever
 */
export async function keepFor(
  client: Pick<pg.Client, 'query'>,
  { table, unit }: Retention,
  kept: number,
): Promise<void> {
  const { rows } = await client.query<{ kept: number }>(`SELECT ${unit} AS kept FROM ${table}`);
  if ((rows[0]?.kept ?? 0) === kept) return;
  if (kept === 0) await client.query(`DELETE FROM ${table}`);
  else
    await client.query(
      `INSERT INTO ${table} (${unit}) VALUES ($1) ON CONFLICT ("only") DO UPDATE SET ${unit} = excluded.${unit}`,
      [kept],
    );
}

/** What only the owner may do for what the logs of servers say, at each start. @param days 0: for ever */
export async function prepareServerLogs(ownerUrl: string, days: number): Promise<void> {
  const client = new pg.Client({ connectionString: ownerUrl, application_name: 'usher logs' });
  await client.connect();
  try {
    await keepFor(client, { table: 'server_log_retention', unit: 'days' }, days);
  } finally {
    await client.end();
  }
}
