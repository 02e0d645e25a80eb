import { Inject, Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import { AuditService } from '../audit/audit.service.js';
import type { Person, Prisma } from '../generated/prisma/client.js';
import { IdentityService } from '../identity/identity.service.js';
import { humanOf, refuseAbsent } from '../identity/standing.js';
import type { Actor, PersonActor } from '../platform/actor.js';
import { concerning } from '../platform/call.js';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { DomainError } from '../platform/errors.js';
import { asId, readPage, toPage } from '../platform/page.js';
import { Database, type Tx } from '../platform/state/database.js';
import { absent, PolicyService } from '../policy/policy.service.js';
import {
  bothNames,
  delegationFacts,
  inState,
  periodOf,
  presentDelegation,
  stateOf,
  withBoth,
  type DelegationRow,
} from './delegation.js';
import {
  DelegationState,
  type CreateDelegation,
  type Delegation,
  type DelegationPage,
  type DelegationQuery,
} from './delegations.contract.js';

/** Delegations that are not over: so many a person may have given, and so many may have been given to one. */
const MOST_GIVEN = 10;
const MOST_RECEIVED = 50;

/** Who lets whom vote in their place. Six collaborators: it is about two people, and has an end that is set by the clock. */
@Injectable()
export class DelegationsService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly audit: AuditService,
    private readonly identity: IdentityService,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  /**
   * Lets somebody else vote in the caller's place. What they may then vote on is asked of policy at each vote.
   * @throws DomainError `policy_denied`, also for another account of one's own; `unknown_person`, `ambiguous_person`,
   *   `invalid_start`, `invalid_end`, `person_locked`, `person_removed`, `delegation_exists`, `quota`
   */
  async create(actor: PersonActor, { delegate: named, reason, ...wanted }: CreateDelegation): Promise<Delegation> {
    const delegate = await this.whom(actor, named);
    this.policy.authorize(actor, 'delegateVotes', facts(delegate));
    const now = this.clock.now();
    const { startsAt, endsAt } = periodOf(wanted, now, this.settings.delegationMaxDays);
    return this.db.tx(async (tx) => {
      const people = await this.identity.hold(tx, [actor.id, delegate.id]);
      if (new Set(people.map(humanOf)).size < 2) throw toOneself();
      refuseAbsent(people);
      await this.refuseMore(tx, actor.id, delegate.id, { startsAt, endsAt });
      const own = { id: v7(), delegatorId: actor.id, delegateId: delegate.id, createdAt: now };
      const row = await tx.delegation.create({ data: { ...own, reason, startsAt, endsAt }, include: withBoth });
      await this.record(tx, actor, row, 'delegation.create', {
        ...{ reason, startsAt: startsAt.toISOString(), endsAt: endsAt.toISOString() },
      });
      return presentDelegation(row, now);
    });
  }

  /** Those that one gave or was given, newest first; all of them for who may see everything. */
  async list(actor: PersonActor, query: DelegationQuery): Promise<DelegationPage> {
    const scopes = this.policy.visible(actor, 'viewDelegations');
    const own = scopes.includes('own') ? [{ delegatorId: actor.id }, { delegateId: actor.id }] : [];
    const { before, take, limit } = readPage(query);
    const now = this.clock.now();
    const wanted: Prisma.DelegationWhereInput[] = [
      ...(query.state === undefined ? [] : [inState(query.state, now)]),
      ...(query.person === undefined ? [] : [{ OR: [{ delegatorId: query.person }, { delegateId: query.person }] }]),
      ...(before === undefined ? [] : [{ id: { lt: before } }]),
    ];
    const rows = await this.db.client.delegation.findMany({
      where: { AND: [scopes.includes('all') ? {} : { OR: own }, ...wanted] },
      orderBy: { id: 'desc' },
      take,
      include: withBoth,
    });
    return toPage(rows, limit, (row) => presentDelegation(row, now));
  }

  /**
   * Ends it now. A vote that was given by it stays: it was right when it was given. Repeating it changes nothing.
   * @throws DomainError `delegation_not_found`, also for one that is not theirs to see; `policy_denied`
   */
  async end(actor: PersonActor, id: string): Promise<Delegation> {
    this.policy.authorize(actor, 'endDelegation', delegationFacts(await this.row(this.db.client, id)));
    return this.db.tx(async (tx) => {
      // waits for a vote that is being given by it, and is waited for by the next
      await tx.$queryRaw`SELECT 1 FROM delegation WHERE id = ${id}::uuid FOR UPDATE`;
      const row = await this.row(tx, id);
      if (stateOf(row, this.clock.now()) !== DelegationState.ended)
        await this.finish(tx, actor, row, endedBy(row, actor));
      return presentDelegation(await this.row(tx, id), this.clock.now());
    });
  }

  /**
   * Ends all that somebody gave or was given, in the transaction that locks or removes them: whoever votes by one holds both
   * people first, as that transaction does. @returns how many
   */
  async endOf(tx: Tx, actor: Actor, personId: string, reason: string): Promise<number> {
    const open = { endedAt: null, endsAt: { gt: this.clock.now() } };
    const where = { ...open, OR: [{ delegatorId: personId }, { delegateId: personId }] };
    const rows = await tx.delegation.findMany({ where, include: withBoth, orderBy: { id: 'asc' } });
    for (const row of rows) await this.finish(tx, actor, row, reason);
    return rows.length;
  }

  private async finish(tx: Tx, actor: Actor, row: DelegationRow, reason: string): Promise<void> {
    const data = { endedAt: this.clock.now(), endReason: reason };
    const { count } = await tx.delegation.updateMany({ where: { id: row.id, endedAt: null }, data });
    if (count === 1) await this.record(tx, actor, row, 'delegation.end', { reason });
  }

  /** Policy comes first: who may not delegate does not learn who there is. */
  private async whom(actor: PersonActor, named: string): Promise<Person> {
    try {
      return await this.identity.named(named, 'delegate');
    } catch (error) {
      this.policy.authorize(actor, 'delegateVotes', facts({ id: v7(), locked: false, groups: [] }));
      throw error;
    }
  }

  /** One after the other for each who delegates: two calls at once make no two for one person. */
  private async refuseMore(
    tx: Tx,
    delegatorId: string,
    delegateId: string,
    { startsAt, endsAt }: { startsAt: Date; endsAt: Date },
  ): Promise<void> {
    await tx.$queryRaw`SELECT 1 FROM person WHERE id = ${delegatorId}::uuid FOR NO KEY UPDATE`;
    const open = { endedAt: null, endsAt: { gt: this.clock.now() } };
    const same = { ...open, delegatorId, delegateId, startsAt: { lt: endsAt }, AND: { endsAt: { gt: startsAt } } };
    if ((await tx.delegation.count({ where: same })) > 0) throw exists();
    const given = await tx.delegation.count({ where: { ...open, delegatorId } });
    const received = await tx.delegation.count({ where: { ...open, delegateId } });
    if (given >= MOST_GIVEN || received >= MOST_RECEIVED)
      throw new DomainError(
        'invalid',
        'quota',
        `Nobody delegates to more than ${MOST_GIVEN} people, or stands in for more than ${MOST_RECEIVED}.`,
        'End one that is no longer needed: GET /v1/delegations lists yours.',
      );
  }

  private async row(db: Tx, id: string): Promise<DelegationRow> {
    const row = await db.delegation.findUnique({ where: { id: asId(id, 'delegation id') }, include: withBoth });
    if (!row) throw absent.delegation();
    concerning({ subjectId: row.delegatorId });
    return row;
  }

  private record(
    tx: Tx,
    actor: Actor,
    row: DelegationRow,
    action: 'delegation.create' | 'delegation.end',
    details: Record<string, unknown>,
  ): Promise<void> {
    const subjectId = actor.kind === 'person' && actor.id === row.delegatorId ? row.delegateId : row.delegatorId;
    return this.audit.append(tx, actor, { action, subjectId, details: { ...bothNames(row), ...details } });
  }
}

const facts = ({ id, locked, groups }: Pick<Person, 'id' | 'locked' | 'groups'>) => ({ id, locked, groups });

const endedBy = (row: DelegationRow, { id }: PersonActor): string => {
  if (id === row.delegatorId) return 'who delegated ended it';
  return id === row.delegateId ? 'the delegate gave it back' : 'an administrator ended it';
};

const toOneself = (): DomainError =>
  new DomainError(
    'forbidden',
    'policy_denied',
    'This is another account of your own: it has your e-mail address.',
    'Name somebody else: one human has one vote.',
  );

const exists = (): DomainError =>
  new DomainError(
    'conflict',
    'delegation_exists',
    'You let this person vote for you in that time already.',
    'End that delegation with POST /v1/delegations/{id}/end, or begin after it.',
  );
