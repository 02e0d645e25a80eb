import { Injectable } from '@nestjs/common';
import type { Connection as Row, Prisma } from '../generated/prisma/client.js';
import type { Reader } from '../platform/actor.js';
import { readPage, toPage } from '../platform/page.js';
import { Database } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import { visibility, visibleRows } from '../policy/visibility.js';
import { TargetsService } from '../targets/targets.service.js';
import type { Connection, ConnectionPage, ConnectionQuery } from './connections.contract.js';

/** Who connected, as the observer saw it. */
@Injectable()
export class ConnectionsService {
  constructor(
    private readonly db: Database,
    private readonly policy: PolicyService,
    private readonly targets: TargetsService,
  ) {}

  async list(actor: Reader, query: ConnectionQuery): Promise<ConnectionPage> {
    const scopes = this.policy.visible(actor, 'viewConnections');
    const seen = visibleRows(await visibility(actor, scopes, (groups) => this.targets.ownedBy(groups)));
    const { before, take, limit } = readPage(query);
    const wanted: Prisma.ConnectionWhereInput = {
      ...(query.target !== undefined && { targetId: query.target }),
      ...(query.person !== undefined && { personId: query.person }),
      ...(query.grant !== undefined && { grantId: query.grant }),
      ...(query.open !== undefined && { endedAt: query.open ? null : { not: null } }),
    };
    const rows = await this.db.client.connection.findMany({
      where: { AND: [seen, wanted, before === undefined ? {} : { id: { lt: before } }] },
      orderBy: { id: 'desc' },
      take,
    });
    return toPage(rows, limit, present);
  }
}

const present = (row: Row): Connection => ({
  id: row.id,
  targetId: row.targetId,
  endpointId: row.endpointId,
  login: row.login,
  database: row.database,
  clientAddress: row.clientAddress,
  clientPort: row.clientPort,
  tls: row.tls,
  tlsVersion: row.tlsVersion,
  tlsCipher: row.tlsCipher,
  applicationName: row.applicationName,
  personId: row.personId,
  grantId: row.grantId,
  startedAt: row.backendStart,
  firstSeenAt: row.firstSeenAt,
  lastSeenAt: row.lastSeenAt,
  endedAt: row.endedAt,
});
