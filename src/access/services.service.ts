import { Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import { AuditService } from '../audit/audit.service.js';
import type { AuditAction } from '../audit/events.js';
import type { Prisma, Service as Row } from '../generated/prisma/client.js';
import { ServiceTokensService } from '../identity/service-tokens.service.js';
import type { PersonActor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { brokenUnique, Database, type Tx } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import { changesOf } from '../targets/target.js';
import { Lapses } from './lapses.js';
import { clientColumns, findService, lockRow, presentService, refuseRemoved } from './service.js';
import {
  ServiceOption,
  type CreateService,
  type Service,
  type ServiceClientInput,
  type UpdateService,
} from './services.contract.js';

/**
 * The register of portals, bots and jobs. What changes is felt from the next call on: nothing of a service is kept anywhere. Six
 * collaborators: it says which clients of which providers they are, too.
 */
@Injectable()
export class ServicesService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly audit: AuditService,
    private readonly lapses: Lapses,
    private readonly tokens: ServiceTokensService,
  ) {}

  /** @throws DomainError `policy_denied`, `name_taken`, also by one that was removed; `client_taken`, `invalid_input` */
  async create(actor: PersonActor, input: CreateService): Promise<Service> {
    this.policy.authorize(actor, 'administerServices');
    const { name, description, groups = [], actsFor = [], actsForAnybody = false, client } = input;
    if (client) this.tokens.refuseUntold(client.issuer);
    const now = this.clock.now();
    const own = { name, description, groups, actsFor, actsForAnybody };
    const details = { ...own, ...(client && { client: told(client) }) };
    const data = { id: v7(), ...own, ...clientColumns(client), createdBy: actor.id, createdAt: now, updatedAt: now };
    return this.db.tx(async (tx) => {
      const row = await tx.service.create({ data }).catch(taken);
      await this.record(tx, actor, row, 'service.create', details);
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

  /** @throws DomainError `policy_denied`, `service_not_found`, `service_removed`, `client_taken`, `invalid_input` */
  update(actor: PersonActor, id: string, input: UpdateService): Promise<Service> {
    const { clear = [], ...given } = input;
    const { client, ...own } = clear.includes(ServiceOption.client) ? { ...given, client: noClient(given) } : given;
    return this.change(actor, id, async (tx, before) => {
      refuseRemoved(before);
      if (client) this.tokens.refuseUntold(client.issuer);
      await this.write(tx, before, { ...own, ...clientColumns(client) }).catch(taken);
      const changed = changesOf(presentService(before), { ...own, client: told(client) });
      await this.record(tx, actor, before, 'service.update', { changed });
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
   * The kill switch: in one transaction no key or token is taken any more and what waits of its asking is cancelled. Repeating it changes
   * nothing; the first reason stays.
   * @throws DomainError `policy_denied`, `service_not_found`, `service_removed`
   */
  lock(actor: PersonActor, id: string, reason: string): Promise<Service> {
    const lock = async (tx: Tx, row: Row): Promise<void> => {
      refuseRemoved(row);
      if (row.locked) return;
      await this.write(tx, row, { locked: true, lockedAt: this.clock.now(), lockReason: reason });
      const requests = await this.lapses.ofService(tx, actor, row.id, 'the service was locked');
      await this.record(tx, actor, row, 'service.lock', { reason, requests });
    };
    return this.change(actor, id, lock, 'lockServices');
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

  private change(
    actor: PersonActor,
    id: string,
    work: (tx: Tx, row: Row) => Promise<void>,
    action: 'administerServices' | 'lockServices' = 'administerServices',
  ): Promise<Service> {
    this.policy.authorize(actor, action);
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

/** @throws DomainError `invalid_input` for one that is given and taken away at once */
function noClient({ client }: UpdateService): null {
  if (client === undefined) return null;
  throw new DomainError(
    'invalid',
    'invalid_input',
    'client cannot be set and taken away at once.',
    'Leave out client, or clear.',
  );
}

/** In the order in which it is shown, so that what stays the same is seen to. */
const told = (client: ServiceClientInput | null | undefined) =>
  client && { issuer: client.issuer, clientId: client.clientId, scopes: client.scopes };

const taken = (error: unknown): never => {
  const index = brokenUnique(error);
  if (index === undefined) throw error;
  if (/service_client|client_issuer|clientIssuer/.test(index)) throw clientTaken();
  throw new DomainError(
    'conflict',
    'name_taken',
    'A service has, or had, this name.',
    'Choose another: the record leads from a name to one service for ever.',
  );
};

const clientTaken = (): DomainError =>
  new DomainError(
    'conflict',
    'client_taken',
    'Another service is this client already.',
    'Take it away from that one first: GET /v1/services shows which it is.',
  );
