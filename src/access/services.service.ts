import { Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import { AuditService } from '../audit/audit.service.js';
import type { AuditAction } from '../audit/events.js';
import type { Prisma, Service as Row } from '../generated/prisma/client.js';
import type { PersonActor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { brokenUnique, Database, type Tx } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import { changesOf } from '../targets/target.js';
import { Lapses } from './lapses.js';
import { findService, lockRow, presentService, refuseRemoved } from './service.js';
import type { CreateService, Service, UpdateService } from './services.contract.js';

/** The register of portals, bots and jobs. What changes is felt from the next call on: nothing of a service is kept anywhere. */
@Injectable()
export class ServicesService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly audit: AuditService,
    private readonly lapses: Lapses,
  ) {}

  /** @throws DomainError `policy_denied`, `name_taken`, also by one that was removed */
  async create(actor: PersonActor, input: CreateService): Promise<Service> {
    this.policy.authorize(actor, 'administerServices');
    const { name, description, groups = [], actsFor = [], actsForAnybody = false } = input;
    const now = this.clock.now();
    const told = { name, description, groups, actsFor, actsForAnybody };
    const data = { id: v7(), ...told, createdBy: actor.id, createdAt: now, updatedAt: now };
    return this.db.tx(async (tx) => {
      const row = await tx.service.create({ data }).catch(taken);
      await this.record(tx, actor, row, 'service.create', told);
      return presentService(row);
    });
  }

  /** By name; all of them, since they are few. */
  async list(actor: PersonActor): Promise<Service[]> {
    this.policy.authorize(actor, 'viewServices');
    return (await this.db.client.service.findMany({ orderBy: { name: 'asc' } })).map(presentService);
  }

  /** @throws DomainError `policy_denied`, `invalid_id`, `service_not_found` */
  async get(actor: PersonActor, id: string): Promise<Service> {
    this.policy.authorize(actor, 'viewServices');
    return presentService(await findService(this.db.client, id));
  }

  /** @throws DomainError `policy_denied`, `service_not_found`, `service_removed` */
  update(actor: PersonActor, id: string, input: UpdateService): Promise<Service> {
    return this.change(actor, id, async (tx, before) => {
      refuseRemoved(before);
      await this.write(tx, before, input);
      await this.record(tx, actor, before, 'service.update', { changed: changesOf(before, input) });
    });
  }

  /**
   * Takes a service off for good: in one transaction its keys end and what waits of its asking is cancelled. What was opened
   * stays: it is the person's. Repeating it changes nothing.
   * @throws DomainError `policy_denied`, `service_not_found`
   */
  remove(actor: PersonActor, id: string): Promise<Service> {
    return this.change(actor, id, async (tx, row) => {
      if (row.removedAt !== null) return;
      const now = this.clock.now();
      const where = { serviceId: row.id, revokedAt: null };
      const { count: keys } = await tx.apiKey.updateMany({ where, data: { revokedAt: now } });
      await this.write(tx, row, { removedAt: now });
      const requests = await this.lapses.ofService(tx, actor, row.id, 'the service was removed');
      await this.record(tx, actor, row, 'service.remove', { keys, requests });
    });
  }

  /**
   * The kill switch: in one transaction no key is taken any more and what waits of its asking is cancelled. Repeating it changes
   * nothing; the first reason stays.
   * @throws DomainError `policy_denied`, `service_not_found`, `service_removed`
   */
  lock(actor: PersonActor, id: string, reason: string): Promise<Service> {
    return this.change(actor, id, async (tx, row) => {
      refuseRemoved(row);
      if (row.locked) return;
      await this.write(tx, row, { locked: true, lockedAt: this.clock.now(), lockReason: reason });
      const requests = await this.lapses.ofService(tx, actor, row.id, 'the service was locked');
      await this.record(tx, actor, row, 'service.lock', { reason, requests });
    });
  }

  /**
   * Lets a service call again, with the keys it has.
   * @throws DomainError `policy_denied`, `service_not_found`, `service_removed`
   */
  unlock(actor: PersonActor, id: string): Promise<Service> {
    return this.change(actor, id, async (tx, row) => {
      refuseRemoved(row);
      if (!row.locked) return;
      await this.write(tx, row, { locked: false, lockedAt: null, lockReason: null });
      await this.record(tx, actor, row, 'service.unlock', {});
    });
  }

  private change(actor: PersonActor, id: string, work: (tx: Tx, row: Row) => Promise<void>): Promise<Service> {
    this.policy.authorize(actor, 'administerServices');
    return this.db.tx(async (tx) => {
      const row = await lockRow(tx, id);
      await work(tx, row);
      return presentService(await findService(tx, row.id));
    });
  }

  private async write(tx: Tx, { id }: Row, data: Prisma.ServiceUpdateInput): Promise<void> {
    await tx.service.update({ where: { id }, data: { ...data, updatedAt: this.clock.now() } });
  }

  private record(
    tx: Tx,
    actor: PersonActor,
    { id: serviceId, name: service }: Row,
    action: AuditAction,
    details: Record<string, unknown>,
  ): Promise<void> {
    return this.audit.append(tx, actor, { action, details: { serviceId, service, ...details } });
  }
}

const taken = (error: unknown): never => {
  if (brokenUnique(error) === undefined) throw error;
  throw new DomainError(
    'conflict',
    'name_taken',
    'A service has, or had, this name.',
    'Choose another: the record leads from a name to one service for ever.',
  );
};
