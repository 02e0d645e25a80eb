import { Injectable } from '@nestjs/common';
import type { Reader } from '../platform/actor.js';
import { DomainError } from '../platform/errors.js';
import { readPage, toPage } from '../platform/page.js';
import { Database } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import { visibility, visibleRows, type Visibility } from '../policy/visibility.js';
import { TargetsService } from '../targets/targets.service.js';
import { findConnections, type Search } from './connection-search.queries.js';
import type { Connection, ConnectionPage, ConnectionQuery } from './connections.contract.js';
import { present, withEvidence, type Beside, type ConnectionRow } from './connections.present.js';
import { GapsService } from './gaps.service.js';

/** Who connected, as the observer saw it and as the logs have it. */
@Injectable()
export class ConnectionsService {
  constructor(
    private readonly db: Database,
    private readonly policy: PolicyService,
    private readonly targets: TargetsService,
    private readonly gaps: GapsService,
  ) {}

  /**
   * Sessions, newest first, with the times of which nothing is known.
   * @throws DomainError `policy_denied`, `invalid_input`, `invalid_cursor`
   */
  async list(actor: Reader, query: ConnectionQuery): Promise<ConnectionPage> {
    const seen = await this.seenBy(actor);
    const search = searchOf(query);
    const { before, take, limit } = readPage(query);
    const ids = await findConnections(this.db.client, seen, search, { before, take });
    const [rows, gaps] = await Promise.all([this.rows(ids), this.gaps.within(seen, search)]);
    return { ...toPage(rows, limit, present(await this.beside(rows))), gaps };
  }

  /** Of these sessions, those that somebody may see. @throws DomainError `policy_denied` */
  async seen(actor: Reader, ids: readonly string[]): Promise<Connection[]> {
    const where = { AND: [visibleRows(await this.seenBy(actor)), { id: { in: [...ids] } }] };
    const rows = await this.db.client.connection.findMany({ where, include: withEvidence });
    return rows.map(present(await this.beside(rows)));
  }

  /** @throws DomainError `policy_denied` */
  async seenBy(actor: Reader): Promise<Visibility> {
    const scopes = this.policy.visible(actor, 'viewConnections');
    return visibility(actor, scopes, (groups) => this.targets.ownedBy(groups));
  }

  private rows(ids: string[]): Promise<ConnectionRow[]> {
    const where = { id: { in: ids } };
    return this.db.client.connection.findMany({ where, include: withEvidence, orderBy: { id: 'desc' } });
  }

  private async beside(rows: readonly ConnectionRow[]): Promise<Beside> {
    const open = rows.filter(({ endedAt }) => endedAt === null);
    const [people, looks] = await Promise.all([
      this.db.client.person.findMany({
        where: { id: { in: [...new Set(rows.flatMap(({ personId }) => personId ?? []))] } },
        select: { id: true, name: true },
      }),
      this.db.client.endpointLook.findMany({
        where: { endpointId: { in: [...new Set(open.map(({ endpointId }) => endpointId))] } },
        select: { endpointId: true, lookedAt: true },
      }),
    ]);
    return {
      names: new Map(people.map(({ id, name }) => [id, name])),
      looks: new Map(looks.flatMap(({ endpointId, lookedAt }) => (lookedAt === null ? [] : [[endpointId, lookedAt]]))),
    };
  }
}

/** @throws DomainError `invalid_input` for times that contradict each other, and for a name that PostgreSQL cannot have */
function searchOf({ at, from, to, ...query }: ConnectionQuery): Search {
  if (at !== undefined && (from ?? to) !== undefined) throw unclear('at', 'either at, or from and to.');
  if (from !== undefined && to !== undefined && from > to) throw unclear('to', 'a time that is not before from.');
  if (query.login?.includes('\0') === true)
    throw unclear('login', 'a login as PostgreSQL names it: without zero bytes.');
  return { ...query, from: at ?? from ?? null, to: at ?? to ?? null };
}

const unclear = (field: string, wanted: string): DomainError =>
  new DomainError('invalid', 'invalid_input', 'What was asked about is unclear.', `Give ${wanted}`, {
    fields: [{ field, message: `Give ${wanted}` }],
  });
