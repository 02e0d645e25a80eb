import { Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import { AuditService } from '../audit/audit.service.js';
import type { Person } from '../generated/prisma/client.js';
import { systemActor } from '../platform/actor.js';
import { apart, currentCall } from '../platform/call.js';
import { Clock } from '../platform/clock.js';
import { brokenUnique, Database, type Tx } from '../platform/state/database.js';
import type { VerifiedPerson } from './identity.contract.js';
import { humanOf } from './standing.js';

/** One row of ours, among several of one human. */
export type Account = Pick<Person, 'id' | 'name' | 'issuer' | 'locked' | 'removedAt'>;

const BESIDE = 'another account of the same human is locked';

/**
 * Accounts as providers describe them, and which of them are one human: those with the same verified e-mail address, as where
 * votes are counted.
 */
@Injectable()
export class AccountsService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly audit: AuditService,
  ) {}

  /** The row of who calls, as the provider describes them now. */
  async see(verified: VerifiedPerson): Promise<Person> {
    const { issuer, subject } = verified;
    const latest = {
      name: verified.name,
      // a token without an address takes none away: who it is would be told by nothing then, and be another human
      ...(verified.email !== undefined && { email: verified.email }),
      userName: verified.preferredUsername ?? null,
      groups: [...verified.groups],
      principalArn: verified.awsPrincipal ?? null,
      lastSeenAt: this.clock.now(),
    };
    const [known] = await this.db.client.person.updateManyAndReturn({ where: { issuer, subject }, data: latest });
    if (known) return known;
    try {
      return await this.meet({ id: v7(), issuer, subject, firstSeenAt: latest.lastSeenAt, email: null, ...latest });
    } catch (error) {
      if (brokenUnique(error) === undefined) throw error;
      const where = { issuer_subject: { issuer, subject } };
      return this.db.client.person.update({ where, data: latest }); // two first calls at once
    }
  }

  /**
   * All accounts of the human whose this one is, locked until the end of the transaction: one that is met meanwhile finds what
   * became of them.
   * @returns their ids, in order
   */
  async hold(tx: Tx, id: string): Promise<string[]> {
    const person = await tx.person.findUniqueOrThrow({ where: { id }, select: { id: true, email: true } });
    const human = humanOf(person);
    await meetOneByOne(tx, human);
    const rows = await tx.$queryRaw<{ id: string; email: string | null }[]>`
      SELECT id, email FROM person WHERE id = ${id}::uuid OR lower(email) = ${human} ORDER BY id FOR UPDATE`;
    return rows.filter((row) => row.id === id || humanOf(row) === human).map((row) => row.id);
  }

  /** By the id of each of these people, further accounts of the same human. One query. */
  async others(
    people: readonly Pick<Person, 'id' | 'email'>[],
    db: Tx = this.db.client,
  ): Promise<Map<string, Account[]>> {
    const found = await sameAddress(db, people.map(humanOf));
    return new Map(
      people.map((person) => [
        person.id,
        found.filter((other) => other.id !== person.id && humanOf(other) === humanOf(person)),
      ]),
    );
  }

  /** Who is locked does not come back by a second provider: an account that is new, of a human who is locked, begins locked. */
  private meet(data: Omit<Person, 'locked' | 'lockedAt' | 'lockReason' | 'removedAt'>): Promise<Person> {
    const human = humanOf(data);
    return apart(() =>
      this.db.tx(async (tx) => {
        await meetOneByOne(tx, human);
        const locked = (await sameAddress(tx, [human])).find((other) => other.locked);
        const standing = locked && { locked: true, lockedAt: data.firstSeenAt, lockReason: BESIDE };
        const person = await tx.person.create({ data: { ...data, ...standing } });
        const actor = systemActor('first call', currentCall()?.correlationId ?? data.id);
        const details = { reason: BESIDE, accountOf: locked?.id };
        if (locked) await this.audit.append(tx, actor, { action: 'person.lock', subjectId: person.id, details });
        return person;
      }),
    );
  }
}

/** A lock that looks for a human's accounts, and the first call of one more, wait for each other. */
const meetOneByOne = (tx: Tx, human: string): Promise<unknown> =>
  tx.$queryRaw`SELECT pg_advisory_xact_lock(hashtextextended('account of ' || ${human}, 0))::text`;

async function sameAddress(db: Tx, humans: readonly string[]): Promise<(Account & Pick<Person, 'email'>)[]> {
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT id FROM person WHERE lower(email) = ANY (${humans.filter((human) => human.includes('@'))}::text[])`;
  const select = { id: true, name: true, email: true, issuer: true, locked: true, removedAt: true };
  return db.person.findMany({ where: { id: { in: rows.map(({ id }) => id) } }, select, orderBy: { id: 'asc' } });
}
