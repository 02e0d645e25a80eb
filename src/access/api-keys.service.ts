import { Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import { AuditService } from '../audit/audit.service.js';
import type { AuditAction } from '../audit/events.js';
import type { ApiKey as Row, Service } from '../generated/prisma/client.js';
import { newApiKey } from '../identity/api-key.js';
import type { PersonActor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { asId } from '../platform/page.js';
import { Database, type Tx } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import type { ApiKey, CreateKey, NewKey, RotateKey } from './api-keys.contract.js';
import { findService, lockRow, refuseRemoved } from './service.js';

const usualDays = 90;
const usualOverlapMinutes = 60;
const DAY = 86_400_000;

/** What a new key is made with. */
interface Making {
  scopes: string[];
  expiresInDays: number | undefined;
  replacesId: string | null;
}

/** Keys of services: made here, shown once, known to the store as a hash. */
@Injectable()
export class ApiKeysService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly audit: AuditService,
  ) {}

  /** @throws DomainError `policy_denied`, `service_not_found`, `service_removed` */
  create(actor: PersonActor, serviceId: string, { scopes, expiresInDays }: CreateKey): Promise<NewKey> {
    return this.change(actor, serviceId, async (tx, service) => {
      const made = await this.make(tx, actor, service, { scopes: [...scopes], expiresInDays, replacesId: null });
      await this.record(tx, actor, service, 'key.create', made.row);
      return made.answer;
    });
  }

  /** Newest first. @throws DomainError `policy_denied`, `invalid_id`, `service_not_found` */
  async list(actor: PersonActor, serviceId: string): Promise<ApiKey[]> {
    this.policy.authorize(actor, 'viewServices');
    const { id } = await findService(this.db.client, serviceId);
    return (await this.db.client.apiKey.findMany({ where: { serviceId: id }, orderBy: { id: 'desc' } })).map(present);
  }

  /**
   * A key for the same actions. The old one works on for the overlap, so that nothing stands still while the new one is put in
   * place; where its own end comes sooner, that stays.
   * @throws DomainError `policy_denied`, `service_not_found`, `service_removed`, `key_not_found`; `key_ended` for what works no more
   */
  rotate(actor: PersonActor, serviceId: string, keyId: string, input: RotateKey): Promise<NewKey> {
    const { expiresInDays, overlapMinutes = usualOverlapMinutes } = input;
    return this.change(actor, serviceId, async (tx, service) => {
      const old = await findKey(tx, service, keyId);
      const now = this.clock.now();
      if (old.revokedAt !== null || old.expiresAt <= now) throw ended(old);
      const until = new Date(now.getTime() + overlapMinutes * 60_000);
      const expiresAt = until < old.expiresAt ? until : old.expiresAt;
      await tx.apiKey.update({ where: { id: old.id }, data: { expiresAt } });
      const making = { scopes: old.scopes, expiresInDays, replacesId: old.id };
      const { row, answer } = await this.make(tx, actor, service, making);
      const replaces = { id: old.id, prefix: old.prefix, expiresAt };
      await this.record(tx, actor, service, 'key.rotate', row, { replaces });
      return answer;
    });
  }

  /** Ends a key. Repeating it changes nothing. @throws DomainError `policy_denied`, `service_not_found`, `key_not_found` */
  revoke(actor: PersonActor, serviceId: string, keyId: string): Promise<ApiKey> {
    this.policy.authorize(actor, 'administerServices');
    return this.db.tx(async (tx) => {
      const service = await lockRow(tx, serviceId);
      const key = await findKey(tx, service, keyId);
      if (key.revokedAt !== null) return present(key);
      const row = await tx.apiKey.update({ where: { id: key.id }, data: { revokedAt: this.clock.now() } });
      await this.record(tx, actor, service, 'key.revoke', row);
      return present(row);
    });
  }

  private change(
    actor: PersonActor,
    serviceId: string,
    work: (tx: Tx, service: Service) => Promise<NewKey>,
  ): Promise<NewKey> {
    this.policy.authorize(actor, 'administerServices');
    return this.db.tx(async (tx) => {
      const service = await lockRow(tx, serviceId);
      refuseRemoved(service);
      return work(tx, service);
    });
  }

  private async make(tx: Tx, actor: PersonActor, service: Service, { expiresInDays = usualDays, ...of }: Making) {
    const { key, prefix, hash } = newApiKey();
    const createdAt = this.clock.now();
    const expiresAt = new Date(createdAt.getTime() + expiresInDays * DAY);
    const own = { id: v7(), serviceId: service.id, prefix, hash, createdBy: actor.id, createdAt, expiresAt };
    const row = await tx.apiKey.create({ data: { ...own, ...of } });
    return { row, answer: { key: key.reveal(), apiKey: present(row) } };
  }

  private record(
    tx: Tx,
    actor: PersonActor,
    { id: serviceId, name: service }: Service,
    action: AuditAction,
    { id: keyId, prefix, scopes, expiresAt }: Row,
    more: Record<string, unknown> = {},
  ): Promise<void> {
    const details = { serviceId, service, keyId, prefix, scopes, expiresAt, ...more };
    return this.audit.append(tx, actor, { action, details });
  }
}

/** @throws DomainError `invalid_id`, `key_not_found`, also for a key of another service */
async function findKey(tx: Tx, { id: serviceId }: Service, keyId: string): Promise<Row> {
  const row = await tx.apiKey.findFirst({ where: { id: asId(keyId, 'key id'), serviceId } });
  if (row) return row;
  throw new DomainError(
    'not_found',
    'key_not_found',
    'The service has no such key.',
    'GET /v1/services/{id}/keys lists them; {keyId} is the id of the key, not its prefix.',
  );
}

const ended = ({ prefix, revokedAt }: Row): DomainError =>
  new DomainError(
    'conflict',
    'key_ended',
    `The key usher_${prefix}… ${revokedAt === null ? 'has expired' : 'was revoked'}: there is nothing to take over from.`,
    'Make a new one with POST /v1/services/{id}/keys.',
  );

/** What goes out: listed field by field, and never the hash. */
const present = (row: Row): ApiKey => ({
  id: row.id,
  serviceId: row.serviceId,
  prefix: row.prefix,
  scopes: row.scopes,
  createdBy: row.createdBy,
  createdAt: row.createdAt,
  expiresAt: row.expiresAt,
  lastUsedAt: row.lastUsedAt,
  revokedAt: row.revokedAt,
  replacesId: row.replacesId,
});
