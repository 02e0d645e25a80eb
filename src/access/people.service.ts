import { Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import type { Prisma } from '../generated/prisma/client.js';
import { AccountsService, type Account } from '../identity/accounts.service.js';
import { IdentityService } from '../identity/identity.service.js';
import { humanOf } from '../identity/standing.js';
import type { Actor } from '../platform/actor.js';
import { concerning } from '../platform/call.js';
import { DomainError } from '../platform/errors.js';
import { asId, readPage, toPage } from '../platform/page.js';
import { Database, type Tx } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import { Farewells } from './farewells.js';
import type { Person, PersonPage, PersonQuery } from './people.contract.js';

const withLogin = { loginName: { select: { name: true } } } satisfies Prisma.PersonInclude;
type PersonRow = Prisma.PersonGetPayload<{ include: typeof withLogin }>;

/** Who there is, and who has left. Six collaborators: a human may have several accounts, and all that one has ends together. */
@Injectable()
export class PeopleService {
  constructor(
    private readonly db: Database,
    private readonly policy: PolicyService,
    private readonly audit: AuditService,
    private readonly identity: IdentityService,
    private readonly accounts: AccountsService,
    private readonly farewells: Farewells,
  ) {}

  async list(actor: Actor, query: PersonQuery): Promise<PersonPage> {
    this.policy.authorize(actor, 'viewPeople');
    const { before, take, limit } = readPage(query);
    const where = { AND: [found(query.search), before === undefined ? {} : { id: { lt: before } }] };
    const rows = await this.db.client.person.findMany({ where, orderBy: { id: 'desc' }, take, include: withLogin });
    const others = await this.accounts.others(rows);
    return toPage(rows, limit, (row) => present(row, others.get(row.id)));
  }

  /** @throws DomainError `policy_denied`, `invalid_id`, `person_not_found` */
  async get(actor: Actor, id: string): Promise<Person> {
    this.policy.authorize(actor, 'viewPeople');
    return this.present(existing(await this.row(this.db.client, id)));
  }

  /**
   * Takes a person off: in one transaction all that they have begins to end, what they asked for is cancelled, and their votes
   * on what waits count no more, for good. It is for this account alone: the answer names others of the same human. From then on no token of theirs is taken; row, login name and history stay theirs. Repeating
   * it changes nothing.
   * @throws DomainError `policy_denied`, also for oneself; `person_not_found`
   */
  async remove(actor: Actor, id: string): Promise<Person> {
    return this.change(actor, 'administerPeople', id, async (tx, personId) => {
      if (!(await this.identity.setRemoved(tx, personId, true))) return;
      const ended = await this.farewells.ofPerson(tx, actor, personId, 'the person was removed');
      await this.record(tx, actor, personId, 'person.remove', { ...ended });
    });
  }

  /**
   * The kill switch: in one transaction a person may do nothing any more, all that they have begins to end, what they asked for
   * is cancelled, and their votes on what waits count no more, for good. All of it for every account of the same human, which
   * the answer names. Repeating it changes nothing; the first reason stays.
   * @throws DomainError `policy_denied`, also for oneself; `person_not_found`
   */
  async lock(actor: Actor, id: string, reason: string): Promise<Person> {
    return this.change(actor, 'lockPeople', id, async (tx, personId) => {
      for (const id of await this.accounts.hold(tx, personId)) {
        if (!(await this.identity.setLocked(tx, id, reason))) continue;
        const ended = await this.farewells.ofPerson(tx, actor, id, 'the person was locked');
        const beside = id === personId ? {} : { accountOf: personId };
        await this.record(tx, actor, id, 'person.lock', { reason, ...ended, ...beside });
      }
    });
  }

  /**
   * Lets a person act again, by this account: nothing that was ended is brought back.
   * @throws DomainError `policy_denied`, also for oneself; `person_not_found`
   */
  async unlock(actor: Actor, id: string): Promise<Person> {
    return this.change(actor, 'administerPeople', id, async (tx, personId) => {
      if (await this.identity.setLocked(tx, personId, null))
        await this.record(tx, actor, personId, 'person.unlock', {});
    });
  }

  /**
   * Lets a person come back, to ask anew: nothing that was ended is brought back.
   * @throws DomainError `policy_denied`, `person_not_found`
   */
  async restore(actor: Actor, id: string): Promise<Person> {
    return this.change(actor, 'administerPeople', id, async (tx, personId) => {
      if (await this.identity.setRemoved(tx, personId, false))
        await this.record(tx, actor, personId, 'person.restore', {});
    });
  }

  /** Policy comes first: who may not administer people does not learn who there is. */
  private async change(
    actor: Actor,
    action: 'administerPeople' | 'lockPeople',
    id: string,
    work: (tx: Tx, personId: string) => Promise<void>,
  ): Promise<Person> {
    const row = await this.row(this.db.client, id);
    this.policy.authorize(actor, action, { id, locked: row?.locked ?? false });
    const { id: personId } = existing(row);
    await this.refuseTwin(actor, personId);
    const person = await this.db.tx(async (tx) => {
      await work(tx, personId);
      return this.present(existing(await this.row(tx, personId)), tx);
    });
    for (const { id: account } of [person, ...person.otherAccounts]) this.identity.forget(account);
    return person;
  }

  /** Policy forbids it for oneself; one human may have two rows, by two providers. */
  private async refuseTwin(actor: Actor, personId: string): Promise<void> {
    if (actor.kind !== 'person') return;
    const where = { id: { in: [actor.id, personId] } };
    const people = await this.db.client.person.findMany({ where, select: { id: true, email: true } });
    if (new Set(people.map(humanOf)).size < 2)
      throw new DomainError(
        'forbidden',
        'policy_denied',
        'This is another account of your own: it has your e-mail address.',
        'Another administrator must do this.',
      );
  }

  private async present(row: PersonRow, db: Tx = this.db.client): Promise<Person> {
    return present(row, (await this.accounts.others([row], db)).get(row.id));
  }

  private async row(db: Tx, id: string): Promise<PersonRow | null> {
    const row = await db.person.findUnique({ where: { id: asId(id, 'person id') }, include: withLogin });
    if (row) concerning({ subjectId: row.id });
    return row;
  }

  private record(
    tx: Tx,
    actor: Actor,
    subjectId: string,
    action: 'person.remove' | 'person.restore' | 'person.lock' | 'person.unlock',
    details: Record<string, unknown>,
  ): Promise<void> {
    return this.audit.append(tx, actor, { action, subjectId, details });
  }
}

function existing(row: PersonRow | null): PersonRow {
  if (row) return row;
  throw new DomainError('not_found', 'person_not_found', 'There is no such person.', 'GET /v1/people lists them.');
}

function found(search: string | undefined): Prisma.PersonWhereInput {
  if (search === undefined) return {};
  const part = { contains: search, mode: 'insensitive' as const };
  return { OR: [{ name: part }, { email: part }, { userName: part }, { loginName: { name: part } }] };
}

/** What goes out: listed field by field, so that a new column is never shown by accident. */
const present = (row: PersonRow, others: readonly Account[] = []): Person => ({
  id: row.id,
  name: row.name,
  email: row.email,
  userName: row.userName,
  login: row.loginName?.name ?? null,
  groups: row.groups,
  locked: row.locked,
  lockedAt: row.lockedAt,
  lockReason: row.lockReason,
  firstSeenAt: row.firstSeenAt,
  lastSeenAt: row.lastSeenAt,
  removedAt: row.removedAt,
  otherAccounts: others.map(({ id, name, issuer, locked, removedAt }) => ({ id, name, issuer, locked, removedAt })),
});
