import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Usher } from '../support/usher.ts';
import type { Stage } from './stage.ts';

/** Takes every connection and never says a word: what a firewall that drops packets looks like from a pool. */
export async function startHole(): Promise<{
  server: Server;
  port: number;
  taken: () => number;
  close(): Promise<void>;
}> {
  const sockets = new Set<Socket>();
  let taken = 0;
  const server = createServer((socket) => {
    taken += 1;
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    const closing = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closing;
  };
  return { server, port: (server.address() as AddressInfo).port, taken: () => taken, close };
}

/** A target behind the hole, with grants that are being ended. A copy of billing: registering would ask it first. */
export async function darkTarget(
  usher: Usher,
  stage: Stage,
  name: string,
  port: number,
  closings: number,
): Promise<string> {
  const { owner } = usher.database;
  const id = randomUUID();
  const copies: [string, string, Record<string, unknown>][] = [
    ['target', 'id', { id, name, resource_id: `db-${name.toUpperCase().padEnd(26, 'X')}` }],
    ['endpoint', 'target_id', { id: randomUUID(), target_id: id, port }],
    ['profile', 'target_id', { id: randomUUID(), target_id: id }],
  ];
  for (const [table, of, change] of copies)
    await owner.query(
      `INSERT INTO ${table} SELECT (jsonb_populate_record(t, $2)).* FROM ${table} t WHERE ${of} = $1 LIMIT 1`,
      [stage.targets.billing.id, change],
    );
  await insertClosings(usher, id, String(copies[2]?.[2]['id']), name, closings);
  return id;
}

/** Written past the service: it would ask the target first, which does not answer. */
async function insertClosings(
  usher: Usher,
  targetId: string,
  profileId: string,
  prefix: string,
  many: number,
): Promise<void> {
  const { owner } = usher.database;
  const personId = randomUUID();
  await owner.query(
    `INSERT INTO person (id, issuer, subject, name, groups, first_seen_at, last_seen_at) VALUES ($1::uuid, 'https://idp.example', $1::text, 'Nobody', '{}', now(), now())`,
    [personId],
  );
  await owner.query(
    `WITH ids AS (SELECT i, gen_random_uuid() AS r, gen_random_uuid() AS g FROM generate_series(1, $5::int) AS i),
          asked AS (
      INSERT INTO request (id, grant_id, target_id, profile_id, person_id, login, database, duration_minutes, reason, method, mode, state, approvals_needed, policies, plan, created_at, decide_by, decided_at)
      SELECT r, g, $1, $2, $3, $4::text || i, 'billing', 30, 'to be ended', 'iam', 'session', 'approved', 0, '{}', '{}', now(), now(), now() FROM ids RETURNING 1)
     INSERT INTO access_grant (id, request_id, target_id, profile_id, person_id, login, database, guard_profile, groups, connection_limit, method, mode, state, starts_at, ends_at, created_at)
     SELECT g, r, $1, $2, $3, $4::text || i, 'billing', 'invoices-read', '{billing_read}', 5, 'iam', 'session', 'opening', now() - interval '1 h', now() - interval '1 min', now() - interval '1 h'
       FROM ids, (SELECT count(*) FROM asked) AS first`,
    [targetId, profileId, personId, `${prefix}_`, many],
  );
  await owner.query(`UPDATE access_grant SET state = 'closing', closing_since = now() WHERE target_id = $1`, [
    targetId,
  ]);
}

/** What is left to be ended there is over, without its target. In the order of everybody else: the service may be at it. */
export async function overAndDone(usher: Usher, targetIds: readonly string[]): Promise<void> {
  await usher.database.owner.query(
    `WITH row AS (SELECT id FROM access_grant WHERE target_id = ANY ($1) AND state = 'closing' ORDER BY id FOR UPDATE)
     UPDATE access_grant SET state = 'closed', closed_at = now() FROM row WHERE access_grant.id = row.id`,
    [targetIds],
  );
}
