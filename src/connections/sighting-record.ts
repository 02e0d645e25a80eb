import { Inject, Injectable } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { Database, type Tx } from '../platform/state/database.js';
import type { SeenSession, Sighting } from '../postgres/postgres.contract.js';
import { begun, type Place } from './begun.js';
import { ConnectionLedger, type Looked } from './connection-ledger.js';
import { ConnectionFlag } from './connections.contract.js';
import { endUnwatched, markObserved, openAt, outlived, type Open } from './connections.queries.js';
import { evidenceOf } from './evidence.queries.js';
import { LogTies } from './log-ties.service.js';
import type { Watched } from './look-out.js';
import { recordLook, type Answered } from './looks.queries.js';
import { lateMs } from './pace.js';
import { clockAhead, compare, ofSomebody, startedAt } from './sightings.js';

/** What closing a grant may take before a session that goes on is a finding. */
const CLOSING_MS = 10_000;

interface Change {
  known: Open[];
  fresh: SeenSession[];
  gone: Open[];
  /** Those that only the log had told of before. */
  shown: Open[];
}

/** Keeps what a look has found, and ties each new session to its person, grant and token. */
@Injectable()
export class SightingRecord {
  private readonly lateMs: number;

  constructor(
    @Inject(SETTINGS) settings: Pick<Settings, 'sampleSeconds'>,
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly ledger: ConnectionLedger,
    private readonly ties: LogTies,
  ) {
    this.lateMs = lateMs(settings.sampleSeconds * 1_000);
  }

  /**
   * @param asked when the server was asked
   * @param heldBy the process whose turn it was; null: whoever's
   */
  async store(place: Watched, seen: Sighting, asked: Date, heldBy: string | null): Promise<void> {
    const now = this.clock.now();
    const { endpoint } = place;
    const clockAheadMs = clockAhead(seen.clock, asked, now);
    const answered = { endpointId: endpoint.id, heldBy, now, serverStartedAt: seen.serverStartedAt, clockAheadMs };
    const known = await openAt(this.db.client, endpoint.id);
    const { fresh, still, gone } = compare(known, seen.sessions.filter(ofSomebody));
    const shown = still.filter(({ observed }) => !observed);
    // nothing is written for a session that is still there: the look itself says when it was last seen
    if (fresh.length + gone.length + shown.length === 0) {
      const before = await recordLook(this.db.client, answered, this.lateMs);
      if (!before || before.sameAs === null || known.length === 0) return;
    }
    await this.db.tx((tx) => this.change(tx, place, answered, { known, fresh, gone, shown }));
  }

  private async change(tx: Tx, { target, endpoint }: Watched, answered: Answered, found: Change): Promise<void> {
    const { now, clockAheadMs } = answered;
    const before = await recordLook(tx, answered, this.lateMs);
    if (!before) return; // another process looks here by now
    const where: Looked = { targetId: target.id, endpointId: endpoint.id, endpoint: endpoint.kind, now };
    // what another endpoint leads to as well stands there, once
    const [fresh, gone] = before.sameAs === null ? [found.fresh, found.gone] : [[], found.known];
    await this.ledger.end(tx, where, gone, before.lookedAt);
    if (found.shown.length > 0)
      await markObserved(
        tx,
        found.shown.map(({ id }) => id),
      );
    if (fresh.length === 0) return;
    const { kind, tokenHost, port } = endpoint;
    const place: Place = { kind, tokenHost, port, masterUser: target.masterUser, clockAheadMs, lookedAt: now };
    const starts = fresh.map((session) => startedAt(session.backendStart, clockAheadMs, now).getTime());
    const logins = [...new Set(fresh.map(({ login }) => login))];
    const evidence = await evidenceOf(tx, target.id, logins, new Date(Math.min(...starts)));
    await this.ledger.begin(
      tx,
      where,
      fresh.map((session) => begun(session, place, evidence)),
    );
  }

  /** What shows without a look: what logs say, sessions that go on after their grant, and those of endpoints that were taken away. */
  async tidy(): Promise<void> {
    const now = this.clock.now();
    await endUnwatched(this.db.client, now);
    const found = await outlived(this.db.client, CLOSING_MS);
    if (found.length > 0) {
      const flagged = found.map(({ endsAt, ...session }) => ({ ...session, details: { endsAt } }));
      await this.db.tx((tx) => this.ledger.flag(tx, flagged, ConnectionFlag.outlived, now));
    }
    await this.ties.tieAll();
  }
}
