import { Injectable } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import { Database, type Tx } from '../platform/state/database.js';
import type { SeenSession } from '../postgres/postgres.contract.js';
import type { TargetRow } from '../targets/target.js';
import { begun } from './begun.js';
import { ConnectionLedger } from './connection-ledger.js';
import { ConnectionFlag } from './connections.contract.js';
import { evidenceOf } from './evidence.queries.js';
import { byPassword } from './flags.js';
import { beganAt, tie } from './log-ties.js';
import {
  addLogged,
  behind,
  cursorOf,
  endLogged,
  keptSessions,
  loggedSessions,
  moveCursor,
  nextEvent,
  type Kept,
  type LoggedSession,
} from './log-ties.queries.js';
import { watchedKinds } from './looks.queries.js';
import { ofSomebody } from './sightings.js';

/** Further than any session of these events may have begun before them. */
const AROUND_MS = 120_000;
/** Looks are shared out anew only when this is done. */
const AT_ONCE_MS = 2_000;

/** Ties what the logs of the servers say to the sessions that looks have shown, and adds those that none has. */
@Injectable()
export class LogTies {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly ledger: ConnectionLedger,
  ) {}

  /**
   * What has been read since the last time, for a while: what is left is for the next time. Several processes may do it at once:
   * each target is one's at a time, and one that fails keeps no other waiting.
   */
  async tieAll(): Promise<void> {
    const until = performance.now() + AT_ONCE_MS;
    const faults: unknown[] = [];
    for (const targetId of await behind(this.db.client)) {
      try {
        let more = true;
        while (more && performance.now() < until) more = await this.db.tx((tx) => this.some(tx, targetId));
      } catch (error) {
        faults.push(error);
      }
    }
    if (faults.length > 0) throw faults[0];
  }

  /** @returns false when there is no more, or another process ties this target */
  private async some(tx: Tx, targetId: string): Promise<boolean> {
    const after = await cursorOf(tx, targetId);
    const last = after === undefined ? undefined : await nextEvent(tx, targetId, after);
    if (after === undefined || last === undefined) return false;
    const logged = await loggedSessions(tx, targetId, after, last);
    if (logged.length > 0) await this.tie(tx, targetId, logged);
    await endLogged(tx, targetId, after, last);
    await moveCursor(tx, targetId, last);
    return true;
  }

  private async tie(tx: Tx, targetId: string, logged: readonly LoggedSession[]): Promise<void> {
    const times = logged.map(({ at }) => at.getTime());
    const around = [new Date(Math.min(...times) - AROUND_MS), new Date(Math.max(...times) + AROUND_MS)] as const;
    const kept = await keptSessions(tx, targetId, [...new Set(logged.map(({ pid }) => pid))], around);
    const ties = logged.map((one) => ({ one, session: tie(one, kept) }));
    const seen = ties.flatMap(({ one, session }) => (session === undefined ? [] : [{ one, session }]));
    await addLogged(
      tx,
      seen.map(({ one: { at, method }, session: { id } }) => ({ id, at, method })),
    );
    await this.ledger.flag(
      tx,
      seen.filter(usedPassword).map(({ session }) => ({ ...session, targetId })),
      ConnectionFlag.password_for_token,
      this.clock.now(),
    );
    const unseen = ties.flatMap(({ one, session }) => (session === undefined ? [one] : []));
    if (unseen.length > 0) await this.begin(tx, targetId, unseen, around[0]);
  }

  /** Those that came and went between two looks, or before the next. */
  private async begin(tx: Tx, targetId: string, logged: readonly LoggedSession[], since: Date): Promise<void> {
    const target = await tx.target.findUniqueOrThrow({ where: { id: targetId }, include: { endpoints: true } });
    const looks = await tx.endpointLook.findMany({
      where: { targetId },
      select: { endpointId: true, clockAheadMs: true },
    });
    const ahead = new Map(looks.map(({ endpointId, clockAheadMs }) => [endpointId, clockAheadMs]));
    const evidence = await evidenceOf(tx, targetId, [...new Set(logged.map(({ login }) => login))], since);
    const now = this.clock.now();
    for (const endpoint of target.endpoints) {
      // neither of these is anybody past Usher: looks leave them out, too
      const others = logged.filter((one) => ofSomebody(one) && one.login !== target.brokerLogin);
      const here = others.filter((one) => endpointOf(target, one) === endpoint.id);
      if (here.length === 0) continue;
      const { kind, tokenHost, port } = endpoint;
      const clockAheadMs = ahead.get(endpoint.id) ?? 0;
      const place = { kind, tokenHost, port, masterUser: target.masterUser, clockAheadMs, lookedAt: now };
      const sessions = here.map((one) => {
        const at = new Date(Math.min(now.getTime(), one.at.getTime() - clockAheadMs));
        return begun(asSeen(one), place, evidence, { at, method: one.method });
      });
      await this.ledger.begin(tx, { targetId, endpointId: endpoint.id, endpoint: kind, now }, sessions);
    }
  }
}

/** Where the log does not tell whose it is, the target must have one server only. */
function endpointOf({ endpoints }: TargetRow, { endpointId }: LoggedSession): string | undefined {
  if (endpointId !== null) return endpointId;
  const watched = endpoints.filter(({ kind }) => watchedKinds.some((one) => one === kind));
  return watched.length === 1 ? watched[0]?.id : undefined;
}

const usedPassword = ({ one: { method }, session }: { one: LoggedSession; session: Kept }): boolean =>
  method !== null && byPassword.has(method) && session.grantMethod === 'iam';

/** As far as the log knows it: what it does not say is unknown, not absent. */
const asSeen = (one: LoggedSession): SeenSession => ({
  ...{ pid: one.pid, login: one.login, database: one.database, clientAddress: one.address, clientPort: one.port },
  ...{ tlsVersion: one.tlsCertain ? one.tlsVersion : null, tlsCipher: one.tlsCertain ? one.tlsCipher : null },
  tls: one.tlsCertain ? one.tlsVersion !== null : null,
  ...{ applicationName: one.applicationName ?? '', backendStart: beganAt(one), state: null },
  ...{ managed: false, iam: null, administrator: null, replication: false },
});
