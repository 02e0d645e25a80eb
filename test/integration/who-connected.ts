import { randomUUID } from 'node:crypto';
import type { SeenSession, Sighting } from '../../src/postgres/postgres.contract.js';
import type { Registered } from '../support/people.ts';
import type { Usher } from '../support/usher.ts';

const MINUTE_MS = 60_000;

/** A grant that was had by somebody, with a token in each tenth minute. */
export interface Had {
  grantId: string;
  personId: string;
  login: string;
  opened: Date;
  ended: Date;
}

/** So many people with a login role each, and two grants each: of the hour before last, over by now, and of the last hour. */
export async function peopleWithGrants(usher: Usher, target: Registered, count: number, now: Date): Promise<Had[]> {
  const hoursAgo = (hours: number): Date => new Date(now.getTime() - hours * 60 * MINUTE_MS);
  const people = Array.from({ length: count }, (_, index) => ({
    personId: randomUUID(),
    login: `w${process.pid}n${index}`,
  }));
  const had = people.flatMap((one) => [
    { ...one, grantId: randomUUID(), opened: hoursAgo(2), ended: hoursAgo(1.1) },
    { ...one, grantId: randomUUID(), opened: hoursAgo(1), ended: hoursAgo(-1) },
  ]);
  await usher.database.owner.query(
    `INSERT INTO person (id, issuer, subject, name, first_seen_at, last_seen_at)
     SELECT id, 'https://idp.example', login, login, now(), now() FROM jsonb_to_recordset($1) AS r (id uuid, login text)`,
    [JSON.stringify(people.map(({ personId, login }) => ({ id: personId, login })))],
  );
  await keepGrants(usher, target, had, now);
  return had;
}

/** Grants of people who are known already, as if they had been had. */
export async function keepGrants(usher: Usher, target: Registered, had: readonly Had[], now: Date): Promise<void> {
  const rows = JSON.stringify(had);
  const { owner } = usher.database;
  const profileId = target.profiles['reporting-read'] ?? target.profiles['invoices-read'];
  const from = `FROM jsonb_to_recordset($1) AS r ("grantId" uuid, "personId" uuid, login text, opened timestamptz, ended timestamptz)`;
  await owner.query(
    `INSERT INTO login_name SELECT DISTINCT r.login, r."personId", now() ${from} ON CONFLICT DO NOTHING`,
    [rows],
  );
  await owner.query(
    `INSERT INTO request (id, grant_id, target_id, profile_id, person_id, login, database, duration_minutes, reason, method, mode, state, approvals_needed, plan, created_at, decide_by, decided_at)
     SELECT gen_random_uuid(), r."grantId", $2, $3, r."personId", r.login, 'orders', 30, 'why', 'iam', 'session', 'approved', 0, '{}', r.opened, r.opened, r.opened ${from}`,
    [rows, target.targetId, profileId],
  );
  await owner.query(
    `INSERT INTO access_grant (id, request_id, target_id, profile_id, person_id, login, database, guard_profile, groups, connection_limit, method, mode, state, starts_at, ends_at, created_at)
     SELECT r."grantId", q.id, $2, $3, r."personId", r.login, 'orders', 'reporting-read', '{readers}', 5, 'iam', 'session', 'opening', r.opened, r.ended, r.opened
       FROM request q JOIN (SELECT * ${from}) r ON r."grantId" = q.grant_id`,
    [rows, target.targetId, profileId],
  );
  await owner.query(`UPDATE access_grant g SET state = 'active', opened_at = g.starts_at WHERE g.target_id = $1`, [
    target.targetId,
  ]);
  for (const state of ['closing', 'closed'])
    await owner.query(
      `UPDATE access_grant SET state = $2::"GrantState", closing_since = ends_at, closed_at = CASE WHEN $2 = 'closed' THEN ends_at END
        WHERE target_id = $1 AND ends_at < $3`,
      [target.targetId, state, now],
    );
  const [endpoint] = usher.standIn.targets.orders.endpoints;
  await owner.query(
    `INSERT INTO audit_event (id, at, actor_kind, actor_name, action, outcome, target_id, grant_id, details, correlation_id)
     SELECT gen_random_uuid(), t, 'person', r.login, 'token.mint', 'success', $2, r."grantId",
            jsonb_build_object('endpoint', 'writer', 'host', $3::text, 'port', $4::int, 'expiresAt', t + interval '15 min'), 'test'
       FROM (SELECT * ${from}) r, generate_series(r.opened, least(r.ended, $5), interval '10 min') t`,
    [rows, target.targetId, endpoint?.host, endpoint?.port, now],
  );
}

/** A session as a server tells of it, with what matters to a test. */
export const session = (
  more: Partial<SeenSession> & Pick<SeenSession, 'pid' | 'login' | 'backendStart'>,
): SeenSession => ({
  ...{ database: 'orders', clientAddress: '10.0.0.1', clientPort: 40_000, tls: true, tlsVersion: 'TLSv1.3' },
  ...{ tlsCipher: 'TLS_AES_256_GCM_SHA384', applicationName: 'psql', state: 'idle' },
  ...{ managed: true, iam: true, administrator: false, replication: false },
  ...more,
});

export const SERVER = new Date('2026-03-01T08:00:00.000Z');

export const sighting = (clock: Date, sessions: SeenSession[], serverStartedAt = SERVER): Sighting => ({
  clock,
  serverStartedAt,
  sessions,
});
