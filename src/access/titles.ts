import { Injectable } from '@nestjs/common';
import { IdentityService } from '../identity/identity.service.js';
import { humanOf, type Standing } from '../identity/standing.js';
import type { PersonActor, PersonId } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { Database, type Tx } from '../platform/state/database.js';
import type { Decision } from '../policy/policy.contract.js';
import { PolicyService } from '../policy/policy.service.js';
import { liveFor, withBoth, type DelegationRow } from './delegation.js';
import { isOf } from './quorum.js';
import { hasVoted, isRequester, openStageOf, requestFacts, type RequestRow } from './request.js';

/** By whose right somebody votes: their own, or that of who lets them vote in their place. */
export interface Title {
  /** Ids of the policies that permit it. */
  readonly policies: readonly string[];
  /** Of whose stage it is a vote. */
  readonly whose: { readonly id: string; readonly groups: readonly string[] };
  readonly delegation?: DelegationRow;
}

/** Everybody whom a vote is about, kept as they are until the end of the transaction. */
export interface Bench {
  /** Of who votes. */
  readonly human: string;
  /** Who votes, and who asked. */
  readonly people: readonly Standing[];
  /** Those by which who votes may vote now. */
  readonly delegations: readonly DelegationRow[];
}

type Deciding = 'approve' | 'deny' | 'reviewRequest';

/**
 * Finds the title of a vote. One human has one vote, by whichever title fits, their own first. By a delegation somebody may do
 * what its giver may, as policy says at that moment, and nothing that is forbidden to either; and never what the giver may only
 * by a delegation of their own.
 */
@Injectable()
export class Titles {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly identity: IdentityService,
  ) {}

  /** Before any lock on a request. People come first, as where one is locked or removed; then what they delegated. */
  async hold(tx: Tx, actor: PersonActor, requesterId: string): Promise<Bench> {
    const given = await this.live(tx, actor.id);
    const own = new Set([actor.id, requesterId]);
    const held = await this.identity.hold(tx, [...own, ...given.map(({ delegatorId }) => delegatorId)]);
    const human = humanOf(held.find(({ id }) => id === actor.id) ?? { id: actor.id, email: null });
    const people = held.filter(({ id }) => own.has(id));
    if (given.length === 0) return { human, people, delegations: [] };
    const ids = given.map(({ id }) => id);
    await tx.$queryRaw`SELECT 1 FROM delegation WHERE id = ANY (${ids}::uuid[]) ORDER BY id FOR SHARE`;
    const still = await this.live(tx, actor.id); // one may have ended while this waited
    return { human, people, delegations: still.filter(({ id }) => ids.includes(id)) };
  }

  /**
   * @throws DomainError as `authorize` of policy where no title is left; `already_voted` where the only one is of somebody who has
   *   voted: they were let in then, and whoever may vote for them hears that it was so
   */
  choose(actor: PersonActor, action: 'approve' | 'deny', row: RequestRow, { human, delegations }: Bench): Title {
    const facts = requestFacts(row);
    const own = this.policy.decide(actor, action, facts);
    const mine = { policies: own.policies, whose: actor };
    const isTurn = (who: Title['whose']): boolean => action === 'deny' || isTurnOf(row, who);
    if (own.allowed && isTurn(actor)) return mine;
    let [outOfTurn, late]: [Title?, DomainError?] = own.allowed ? [mine] : [];
    for (const delegation of this.others(row, human, own, delegations)) {
      const { delegator } = delegation;
      if (hasVoted(row, humanOf(delegator))) late ??= alreadyVotedFor(delegator.name);
      else {
        const inPlace = inPlaceOf(delegation, actor);
        const theirs = this.policy.decide(inPlace, action, facts);
        const title = { policies: theirs.policies, whose: delegator, delegation };
        if (theirs.allowed && isTurn(delegator)) return title;
        if (theirs.allowed) outOfTurn ??= title;
        if (theirs.stepUp && !own.allowed) this.policy.authorize(inPlace, action, facts); // tells which sign-in would do
      }
    }
    if (outOfTurn) return outOfTurn; // whose turn it is, the call is told once the request is known to wait
    if (late) throw late;
    return { policies: this.policy.authorize(actor, action, facts).policies, whose: actor };
  }

  /**
   * Whether somebody may see what a request is judged by, also in the place of somebody else.
   * @returns those for whom they may vote on it now
   * @throws DomainError as `authorize` of policy
   */
  async review(actor: PersonActor, row: RequestRow): Promise<DelegationRow[]> {
    const [facts, given] = [requestFacts(row), await this.live(this.db.client, actor.id)];
    const me = await this.db.client.person.findUnique({ where: { id: actor.id }, select: { id: true, email: true } });
    const human = humanOf(me ?? { id: actor.id, email: null });
    const may = (action: Deciding): DelegationRow[] => {
      const own = this.policy.decide(actor, action, facts);
      return this.others(row, human, own, given).filter(
        (one) => this.policy.decide(inPlaceOf(one, actor), action, facts).allowed,
      );
    };
    const own = this.policy.decide(actor, 'reviewRequest', facts);
    if (!own.allowed && may('reviewRequest').length === 0) this.policy.authorize(actor, 'reviewRequest', facts);
    if (row.state !== 'pending' || hasVoted(row, human)) return [];
    return may('approve').filter(({ delegator }) => !hasVoted(row, humanOf(delegator)) && isTurnOf(row, delegator));
  }

  /** Those by which somebody may vote at this moment, the oldest first. */
  live(db: Tx, delegateId: string): Promise<DelegationRow[]> {
    const where = liveFor(delegateId, this.clock.now());
    return db.delegation.findMany({ where, include: withBoth, orderBy: { id: 'asc' } });
  }

  /** No delegation helps with what is forbidden to who votes, nor with what they or its giver asked for. */
  private others(
    row: RequestRow,
    human: string,
    own: Decision,
    delegations: readonly DelegationRow[],
  ): readonly DelegationRow[] {
    if (isRequester(row, human) || !(own.allowed || nothingPermits(own))) return [];
    return delegations.filter(({ delegator }) => {
      const other = humanOf(delegator);
      return other !== human && !isRequester(row, other);
    });
  }
}

/** Policy is asked as of who delegates, with the sign-in of who votes. */
const inPlaceOf = ({ delegator }: DelegationRow, actor: PersonActor): PersonActor => ({
  ...actor,
  ...{ id: delegator.id as PersonId, name: delegator.name, issuer: delegator.issuer, subject: delegator.subject },
  ...{ groups: delegator.groups, locked: delegator.locked, delegateId: actor.id },
});

/** No forbid, no key that is not for it, and no fault: only that nobody said yes. */
const nothingPermits = ({ allowed, policies, advice, errors }: Decision): boolean =>
  !allowed && policies.length === 0 && advice.length === 0 && errors.length === 0;

/** The stage that is open is one of theirs. */
function isTurnOf(row: RequestRow, who: Title['whose']): boolean {
  const stage = openStageOf(row);
  return stage === undefined || isOf(stage, who);
}

const alreadyVotedFor = (name: string): DomainError =>
  new DomainError(
    'conflict',
    'already_voted',
    `${name}, in whose place you would vote, has decided on this request already, or somebody did for them.`,
    'Somebody else must decide now.',
  );
