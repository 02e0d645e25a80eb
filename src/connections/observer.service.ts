import { Injectable } from '@nestjs/common';
import { InjectPinoLogger, PinoLogger } from 'nestjs-pino';
import { randomUUID } from 'node:crypto';
import { v7 } from 'uuid';
import { AuditService } from '../audit/audit.service.js';
import type { Connection as Row } from '../generated/prisma/client.js';
import { nameBehind } from '../identity/login-name.js';
import { systemActor, type Actor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { Database, type Tx } from '../platform/state/database.js';
import type { TargetBackend } from '../postgres/postgres.contract.js';
import { TargetAccess } from '../targets/target-access.service.js';
import type { TargetRow } from '../targets/target.js';
import { compare, matchGrant } from './match.js';

type EndpointRow = TargetRow['endpoints'][number];

/** Looks at who is connected, endpoint by endpoint, and ties each session to its person and grant. */
@Injectable()
export class Observer {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly access: TargetAccess,
    private readonly audit: AuditService,
    @InjectPinoLogger(Observer.name) private readonly log: PinoLogger,
  ) {}

  /** One look at every endpoint of every target; an endpoint that cannot be looked at does not keep the others. */
  async sampleAll(): Promise<void> {
    const include = { endpoints: true };
    const targets = await this.db.client.target.findMany({ where: { deletedAt: null }, include });
    await Promise.all(
      targets.flatMap((target) => target.endpoints.filter(isOwn).map((endpoint) => this.attempt(target, endpoint))),
    );
  }

  /** One look at one endpoint. */
  async sample(target: TargetRow, endpoint: EndpointRow): Promise<void> {
    const session = await this.access.endpoint(target, endpoint, 'observe');
    const seen = await session.activity();
    const now = this.clock.now();
    const actor = systemActor('observe', randomUUID());
    await this.db.tx(async (tx) => {
      const known = await tx.connection.findMany({ where: { endpointId: endpoint.id, endedAt: null } });
      const { fresh, still, gone } = compare(known, seen);
      for (const backend of fresh) await this.begin(tx, actor, target, endpoint, backend, now);
      await tx.connection.updateMany({ where: { id: { in: still.map(({ id }) => id) } }, data: { lastSeenAt: now } });
      for (const row of gone) await this.end(tx, actor, row, now);
    });
  }

  private async attempt(target: TargetRow, endpoint: EndpointRow): Promise<void> {
    try {
      await this.sample(target, endpoint);
    } catch (error) {
      this.log.warn({ err: error, target: target.name, endpoint: endpoint.kind }, 'could not look at who is connected');
    }
  }

  private async begin(
    tx: Tx,
    actor: Actor,
    target: TargetRow,
    endpoint: EndpointRow,
    backend: TargetBackend,
    now: Date,
  ): Promise<void> {
    const grants = await tx.grant.findMany({
      where: { targetId: target.id, login: backend.login, openedAt: { not: null } },
      orderBy: { id: 'desc' },
      take: 100,
    });
    const grant = matchGrant(backend, grants);
    const owner = await tx.loginName.findUnique({ where: { name: nameBehind(backend.login) } });
    const { pid, login, database, clientAddress, clientPort, tlsVersion, tlsCipher, applicationName } = backend;
    const facts = { login, database, clientAddress, clientPort, tlsVersion };
    const row = {
      id: v7(),
      targetId: target.id,
      endpointId: endpoint.id,
      pid,
      backendStart: backend.backendStart ?? new Date(0),
      ...facts,
      tlsCipher,
      applicationName,
      tls: backend.tls ?? false,
      personId: owner?.personId ?? null,
      grantId: grant?.id ?? null,
      firstSeenAt: now,
      lastSeenAt: now,
    };
    const { count } = await tx.connection.createMany({ data: [row], skipDuplicates: true });
    if (count === 0) return; // another process saw it first
    await this.audit.append(tx, actor, {
      action: 'connection.seen',
      targetId: target.id,
      grantId: grant?.id,
      subjectId: owner?.personId,
      details: { connectionId: row.id, endpoint: endpoint.kind, startedAt: row.backendStart, ...facts },
    });
  }

  private async end(tx: Tx, actor: Actor, row: Row, now: Date): Promise<void> {
    const { count } = await tx.connection.updateMany({ where: { id: row.id, endedAt: null }, data: { endedAt: now } });
    if (count === 0) return;
    await this.audit.append(tx, actor, {
      action: 'connection.ended',
      targetId: row.targetId,
      grantId: row.grantId ?? undefined,
      subjectId: row.personId ?? undefined,
      details: { connectionId: row.id, login: row.login, lastSeenAt: row.lastSeenAt },
    });
  }
}

/** Custom endpoints and proxies lead to instances that are looked at under their own endpoints. */
const isOwn = ({ kind }: EndpointRow): boolean => kind === 'writer' || kind === 'reader' || kind === 'instance';
