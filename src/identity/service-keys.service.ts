import { Injectable } from '@nestjs/common';
import type { Prisma } from '../generated/prisma/client.js';
import type { ServiceActor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { DomainError, type ErrorCode } from '../platform/errors.js';
import { Database, type Tx } from '../platform/state/database.js';
import { isApiKey, isKeyOf, prefixOf } from './api-key.js';
import { lockedOut, serviceActor } from './service-actor.js';
import { bearerToken } from './token-verifier.js';

/** Milliseconds after which `last_used_at` is written again. */
const USED = 60_000;
/** Milliseconds before its end from when on a key counts as one that expires. */
const SOON = 14 * 86_400_000;

const withService = { service: true } satisfies Prisma.ApiKeyInclude;
type KeyRow = Prisma.ApiKeyGetPayload<{ include: typeof withService }>;

/**
 * Turns an API key into the service it belongs to. The row is read in every call and nothing is kept: a key that was revoked and
 * a service that was locked are refused at once, whichever process hears of it.
 */
@Injectable()
export class ServiceKeysService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
  ) {}

  /**
   * The service that calls; undefined where no API key stands behind `Bearer`. Of a key, only its prefix is in any refusal.
   * @param authorization value of the Authorization header
   * @throws DomainError `key_invalid`, `key_revoked`, `key_expired`, `service_locked`
   */
  async authenticate(
    authorization: string | undefined,
    { address, correlationId }: { address: string | undefined; correlationId: string },
  ): Promise<ServiceActor | undefined> {
    const key = bearerToken(authorization);
    if (!isApiKey(key)) return undefined;
    const prefix = prefixOf(key);
    if (prefix === undefined) throw invalid('is not complete, or was mistyped');
    const row = await this.db.client.apiKey.findUnique({ where: { prefix }, include: withService });
    if (!isKeyOf(key, row?.hash) || !row) throw invalid('is not known');
    this.refuse(row);
    await this.used(row);
    return { ...serviceActor(row.service, row.scopes, { address, correlationId }), keyId: row.id };
  }

  /**
   * Keeps a service from being locked until the end of the transaction: what it asked for is there when a lock looks, or is refused
   * here. After people and before requests, as a lock takes them.
   * @throws DomainError `service_locked`
   */
  async hold(tx: Tx, serviceId: string): Promise<void> {
    await tx.$queryRaw`SELECT 1 FROM service WHERE id = ${serviceId}::uuid FOR KEY SHARE`;
    const { name, locked, removedAt } = await tx.service.findUniqueOrThrow({ where: { id: serviceId } });
    if (locked || removedAt !== null) throw lockedOut(name);
  }

  /** Keys that still work and end within 14 days, without one that was made to follow them. */
  async expiring(): Promise<number> {
    const now = this.clock.now();
    return this.db.client.apiKey.count({
      where: {
        revokedAt: null,
        expiresAt: { gt: now, lte: new Date(now.getTime() + SOON) },
        service: { removedAt: null },
        replacedBy: { none: { revokedAt: null, expiresAt: { gt: now } } },
      },
    });
  }

  private refuse({ prefix, revokedAt, expiresAt, service }: KeyRow): void {
    const named = `The API key usher_${prefix}… of ${service.name}`;
    if (revokedAt !== null || service.removedAt !== null)
      throw unauthenticated('key_revoked', `${named} was revoked.`, 'Ask an administrator for another key.');
    if (expiresAt <= this.clock.now())
      throw unauthenticated('key_expired', `${named} has expired.`, 'Ask an administrator for another key.');
    if (service.locked) throw lockedOut(service.name);
  }

  /** At most once a minute, in whichever process. */
  private async used({ id, lastUsedAt }: KeyRow): Promise<void> {
    const now = this.clock.now();
    const before = new Date(now.getTime() - USED);
    if (lastUsedAt !== null && lastUsedAt > before) return;
    const where = { id, OR: [{ lastUsedAt: null }, { lastUsedAt: { lte: before } }] };
    await this.db.client.apiKey.updateMany({ where, data: { lastUsedAt: now } });
  }
}

const unauthenticated = (code: ErrorCode, message: string, advice: string): DomainError =>
  new DomainError('unauthenticated', code, message, advice);

const invalid = (what: string): DomainError =>
  unauthenticated('key_invalid', `The API key ${what}.`, 'Send "Authorization: Bearer usher_…" with a whole key.');
