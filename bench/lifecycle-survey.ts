/** One look at everything on a target with many logins: what a look for drift asks, and what a reconcile asks of a hundred. */
import type { Pool } from 'pg';
import type { TargetSession } from '../src/postgres/postgres.contract.ts';

export interface Survey {
  logins: number;
  leases: number;
  /** Milliseconds of the best and the worst of several looks. */
  fastest: number;
  slowest: number;
}

/** @param rdsadmin makes the logins as the guard would have, only faster */
export async function measureSurvey(guard: TargetSession, rdsadmin: Pool, logins: number): Promise<Survey> {
  await makeLogins(rdsadmin, logins);
  const times: number[] = [];
  let found = await guard.survey();
  for (let i = 0; i < 5; i += 1) {
    const since = performance.now();
    found = await guard.survey();
    times.push(performance.now() - since);
  }
  const leases = found.logins.reduce((sum, login) => sum + login.leases.length, 0);
  return {
    logins: found.logins.length,
    leases,
    fastest: Math.min(...times),
    slowest: Math.max(...times),
  };
}

/** A fifth of them live. */
async function makeLogins(rdsadmin: Pool, logins: number): Promise<void> {
  await rdsadmin.query(`
    DO $$
    DECLARE
      since16 boolean := current_setting('server_version_num')::int >= 160000;
      nm text;
    BEGIN
      FOR i IN 1..${logins} LOOP
        nm := 'many_' || i;
        EXECUTE format('CREATE ROLE %I NOLOGIN', nm);
        EXECUTE format('GRANT usher_managed TO %I', nm);
        IF since16 THEN EXECUTE format('GRANT %I TO usher_owner WITH ADMIN TRUE, INHERIT FALSE, SET FALSE', nm); END IF;
        INSERT INTO usher.login (role, name, person, method) VALUES (nm::regrole, nm, 'person-' || nm, 'iam');
        CONTINUE WHEN i % 5 <> 0;
        EXECUTE format('GRANT app_read TO %I GRANTED BY usher_owner', nm);
        EXECUTE format('GRANT rds_iam TO %I GRANTED BY usher_owner', nm);
        EXECUTE format('ALTER ROLE %I LOGIN', nm);
        INSERT INTO usher.lease (grant_id, role, login, profile, method, opened_at, ends_at, groups, connection_limit)
          VALUES ('grant-' || nm, nm::regrole, nm, 'read', 'iam', clock_timestamp(), clock_timestamp() + interval '50 min', '{app_read}', 5);
      END LOOP;
    END $$`);
  await rdsadmin.query('ANALYZE');
}
