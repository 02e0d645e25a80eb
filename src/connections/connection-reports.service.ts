import { Injectable } from '@nestjs/common';
import type { GrantState } from '../grants/grants.contract.js';
import type { Reader } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { readPage, toPage } from '../platform/page.js';
import { Database } from '../platform/state/database.js';
import {
  CaRotation,
  type GrantUse,
  type GrantUsePage,
  type GrantUseQuery,
  type ProfileUse,
  type ProfileUsePage,
  type ProfileUseQuery,
  type TlsClient,
  type TlsQuery,
  type TlsReport,
} from './connection-reports.contract.js';
import {
  grantUses,
  profileUses,
  tlsClients,
  type GrantUseRow,
  type ProfileUseRow,
  type TlsRow,
} from './connection-reports.queries.js';
import { ConnectionsService } from './connections.service.js';
import { GapsService } from './gaps.service.js';

const DAY_MS = 86_400_000;
const DAYS = 30;
/** Clients that a report of TLS names. */
const MOST = 500;

/** What sessions tell when they are counted: who would be shut out by stricter rules, and what is not used. */
@Injectable()
export class ConnectionReportsService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly connections: ConnectionsService,
    private readonly gaps: GapsService,
  ) {}

  /** @throws DomainError `policy_denied` */
  async tls(actor: Reader, query: TlsQuery): Promise<TlsReport> {
    const seen = await this.connections.seenBy(actor);
    const to = this.clock.now();
    const from = new Date(to.getTime() - (query.days ?? DAYS) * DAY_MS);
    const [rows, gaps] = await Promise.all([
      tlsClients(this.db.client, seen, query, { from, to, most: MOST }),
      this.gaps.within(seen, { ...aboutOf(query), from, to }),
    ]);
    return { from, to, clients: rows.map(presentClient), leftOut: (rows[0]?.all ?? 0) - rows.length, gaps };
  }

  /** @throws DomainError `policy_denied`, `invalid_cursor` */
  async grantUse(actor: Reader, query: GrantUseQuery): Promise<GrantUsePage> {
    const seen = await this.connections.seenBy(actor);
    const { before, take, limit } = readPage(query);
    const [rows, gaps] = await Promise.all([
      grantUses(this.db.client, seen, query, { before, take }),
      this.gaps.within(seen, { ...aboutOf(query), from: null, to: null }),
    ]);
    return { ...toPage(rows, limit, presentGrantUse), gaps };
  }

  /** @throws DomainError `policy_denied`, `invalid_cursor` */
  async profileUse(actor: Reader, query: ProfileUseQuery): Promise<ProfileUsePage> {
    const seen = await this.connections.seenBy(actor);
    const { before, take, limit } = readPage(query);
    const [rows, gaps] = await Promise.all([
      profileUses(this.db.client, seen, query.target, { before, take }),
      this.gaps.within(seen, { ...aboutOf(query), from: null, to: null }),
    ]);
    return { ...toPage(rows, limit, presentProfileUse), gaps };
  }
}

const aboutOf = ({ target, person }: { target?: string; person?: string }): { target?: string; person?: string } => ({
  ...(target !== undefined && { target }),
  ...(person !== undefined && { person }),
});

const presentClient = (row: TlsRow): TlsClient => ({
  targetId: row.targetId,
  login: row.login,
  personId: row.personId,
  personName: row.personName,
  applicationName: row.applicationName,
  clientAddress: row.clientAddress,
  sessions: row.sessions,
  withoutTls: row.withoutTls,
  oldTls: row.oldTls,
  lastSeenAt: row.lastSeenAt,
  lastWithoutTlsAt: row.lastWithoutTlsAt,
  forceSslBreaks: row.withoutTls > 0,
  caRotation: rotationOf(row),
});

const rotationOf = ({ withTls, applicationName }: TlsRow): CaRotation => {
  if (withTls === 0) return CaRotation.no_tls;
  return applicationName === 'usher' ? CaRotation.recipe : CaRotation.unknown;
};

const presentGrantUse = (row: GrantUseRow): GrantUse => ({
  grantId: row.id,
  targetId: row.targetId,
  profileId: row.profileId,
  profileName: row.profileName,
  personId: row.personId,
  personName: row.personName,
  login: row.login,
  state: row.state as GrantState,
  startsAt: row.startsAt,
  endsAt: row.endsAt,
  sessions: row.sessions,
  firstUsedAt: row.firstUsedAt,
  lastUsedAt: row.lastUsedAt,
});

const presentProfileUse = (row: ProfileUseRow): ProfileUse => ({
  profileId: row.id,
  profileName: row.profileName,
  targetId: row.targetId,
  grants: row.grants,
  sessions: row.sessions,
  lastGrantedAt: row.lastGrantedAt,
  lastUsedAt: row.lastUsedAt,
});
