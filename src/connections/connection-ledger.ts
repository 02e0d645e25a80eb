import { Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { AuditService } from '../audit/audit.service.js';
import type { AuditEntry } from '../audit/events.js';
import { systemActor } from '../platform/actor.js';
import type { Tx } from '../platform/state/database.js';
import type { Begun } from './begun.js';
import { LoginKind, type ConnectionFlag } from './connections.contract.js';
import { endSessions, insertBegun, insertFlags, type Open } from './connections.queries.js';

/** Where sessions were seen. */
export interface Looked {
  targetId: string;
  endpointId: string;
  /** Kind of the endpoint. */
  endpoint: string;
  now: Date;
}

/** A session that is known already, and about which something shows now. */
export interface Flagged {
  id: string;
  targetId: string;
  grantId: string | null;
  personId: string | null;
  login: string;
  details?: Readonly<Record<string, unknown>>;
}

/** Ids that one line of the record names; its number says how many there were. */
const NAMED = 20;

/** Writes what changed about sessions, each kind of change in one statement, and puts it on record. */
@Injectable()
export class ConnectionLedger {
  constructor(private readonly audit: AuditService) {}

  async begin(tx: Tx, where: Looked, sessions: readonly Begun[]): Promise<void> {
    const written = await insertBegun(tx, where, sessions);
    const fresh = sessions.filter(({ id }) => written.has(id));
    await insertFlags(
      tx,
      fresh.flatMap(({ id, flags }) => flags.map((kind) => ({ connectionId: id, kind }))),
      where.now,
    );
    const known = fresh.filter(({ loginKind }) => loginKind !== LoginKind.unknown);
    await this.audit.appendAll(tx, actor(), [
      ...known.flatMap((session) => linesOf(where, session)),
      ...byLogin(fresh.filter(({ loginKind }) => loginKind === LoginKind.unknown)).map((of) => unknownLine(where, of)),
    ]);
  }

  /** @param lastSeenAt the last look at which they were there */
  async end(tx: Tx, where: Looked, sessions: readonly Open[], lastSeenAt: Date | null): Promise<void> {
    const ended = await endSessions(
      tx,
      sessions.map(({ id }) => id),
      lastSeenAt,
      where.now,
    );
    const told = sessions.filter(({ id, personId }) => ended.has(id) && personId !== null);
    await this.audit.appendAll(
      tx,
      actor(),
      told.map((session) => endLine(where, session, lastSeenAt)),
    );
  }

  /** What shows of a session only after it was first seen. */
  async flag(tx: Tx, sessions: readonly Flagged[], kind: ConnectionFlag, now: Date): Promise<void> {
    await insertFlags(
      tx,
      sessions.map(({ id }) => ({ connectionId: id, kind })),
      now,
    );
    const lines = sessions.map(({ id, targetId, grantId, personId, login, details }) => ({
      ...{ action: 'connection.flagged' as const, targetId },
      ...{ grantId: grantId ?? undefined, subjectId: personId ?? undefined },
      details: { connectionId: id, flags: [kind], login, ...details },
    }));
    await this.audit.appendAll(tx, actor(), lines);
  }
}

const actor = () => systemActor('observe', randomUUID());

function linesOf({ targetId, endpoint }: Looked, session: Begun): AuditEntry[] {
  const { id, login, database, clientAddress, clientPort, tlsVersion, startedAt, flags, grade, mintId } = session;
  const about = { targetId, grantId: session.grantId ?? undefined, subjectId: session.personId ?? undefined };
  const facts = { connectionId: id, endpoint, startedAt, login, database, clientAddress, clientPort, tlsVersion };
  return [
    { action: 'connection.seen', ...about, details: { ...facts, grade, mintId } },
    ...(flags.length === 0 ? [] : [{ action: 'connection.flagged' as const, ...about, details: { ...facts, flags } }]),
  ];
}

const endLine = ({ targetId }: Looked, session: Open, lastSeenAt: Date | null): AuditEntry => ({
  ...{ action: 'connection.ended', targetId, grantId: session.grantId ?? undefined },
  subjectId: session.personId ?? undefined,
  details: { connectionId: session.id, login: session.login, lastSeenAt: lastSeenAt ?? session.firstSeenAt },
});

/** An application opens and closes sessions all day: those of one login that come together have one line. */
function byLogin(sessions: readonly Begun[]): Begun[][] {
  const found = new Map<string, Begun[]>();
  for (const session of sessions) found.set(session.login, [...(found.get(session.login) ?? []), session]);
  return [...found.values()];
}

const unknownLine = ({ targetId, endpoint }: Looked, sessions: readonly Begun[]): AuditEntry => ({
  action: 'connection.flagged',
  targetId,
  details: {
    ...{ endpoint, login: sessions[0]?.login, sessions: sessions.length },
    flags: [...new Set(sessions.flatMap(({ flags }) => flags))],
    addresses: [...new Set(sessions.map(({ clientAddress }) => clientAddress))].slice(0, NAMED),
    connectionIds: sessions.slice(0, NAMED).map(({ id }) => id),
  },
});
