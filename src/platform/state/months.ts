import pg from 'pg';
import { keepFor } from './retention.js';

/** Months of the record that are there before their time. */
export const MONTHS_AHEAD = 3;
/** check_violation: a stray line is of that month; lock_not_available: somebody reads all of the record. */
const CAN_WAIT = new Set(['23514', '55P03']);

/**
 * What only the owner may do for the record, at each start: says for how many months it is kept, and makes the months that are due,
 * before the first line of a process that starts after a long pause.
 * @param retention full months; 0: for ever
 */
export async function prepareMonths(ownerUrl: string, retention: number): Promise<void> {
  const client = new pg.Client({ connectionString: ownerUrl, application_name: 'usher months' });
  await client.connect();
  try {
    // lines that have no month are kept all the same: what keeps one from being made is for the hourly job to tell, not to stop on
    await client.query('SELECT audit_make_partitions($1)', [MONTHS_AHEAD]).catch((error: unknown) => {
      if (!CAN_WAIT.has(String((error as { code?: unknown }).code))) throw error;
    });
    await keepFor(client, { table: 'audit_retention', unit: 'months' }, retention);
  } finally {
    await client.end();
  }
}
