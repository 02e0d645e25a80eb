import { Injectable } from '@nestjs/common';
import type { Prisma } from '../generated/prisma/client.js';
import type { GrantState } from '../grants/grants.contract.js';
import { humanOf } from '../identity/standing.js';
import type { PersonActor } from '../platform/actor.js';
import { asId } from '../platform/page.js';
import { Database } from '../platform/state/database.js';
import { lastUseOf } from './overview.queries.js';
import { hasVoted, isRequester, presentRequest, withVotes, type RequestRow } from './request.js';
import { RequestLedger } from './request-ledger.js';
import type { EarlierRequests, RequesterAccess, NamedPerson, RequestReview } from './request-reviews.contract.js';
import { Titles } from './titles.js';

/** Grants that are shown; who has more is counted. */
const MOST_HELD = 50;

const neighbours = {
  target: { select: { name: true } },
  profile: { select: { name: true } },
} satisfies Prisma.GrantInclude;
type HeldRow = Prisma.GrantGetPayload<{ include: typeof neighbours }>;

/** What an approver should know before saying yes: who else must, what the requester has already, and whether it was ever used. */
@Injectable()
export class RequestReviews {
  constructor(
    private readonly db: Database,
    private readonly titles: Titles,
    private readonly ledger: RequestLedger,
  ) {}

  /**
   * A fixed number of queries, whatever there is.
   * @throws DomainError `request_not_found`, `policy_denied` for who neither approves nor sees everything
   */
  async review(actor: PersonActor, id: string): Promise<RequestReview> {
    const row = await this.ledger.row(this.db.client, asId(id, 'request id'));
    const inPlaceOf = await this.titles.review(actor, row);
    const request = presentRequest(row);
    const where = heldBy(row);
    const [people, held, heldCount, lastUsedAt, earlier] = await Promise.all([
      this.mayStillAgree(row),
      this.db.client.grant.findMany({ where, include: neighbours, orderBy: { id: 'desc' }, take: MOST_HELD }),
      this.db.client.grant.count({ where }),
      this.lastUse(row),
      this.earlier(row),
    ]);
    const stages = request.stages.map((stage) => ({
      ...stage,
      people: stage.people.flatMap((one) => people.get(one) ?? []),
    }));
    return {
      request,
      ownerGroup: row.target.ownerGroup,
      stages,
      inPlaceOf: inPlaceOf.map(({ delegatorId: id, delegator }) => ({ id, name: delegator.name })),
      held: held.map(present),
      heldCount,
      lastUsedAt,
      earlier,
    };
  }

  private async mayStillAgree(row: RequestRow): Promise<Map<string, NamedPerson>> {
    const where = { id: { in: row.approverPeople }, locked: false, removedAt: null };
    const select = { id: true, name: true, email: true };
    const found = row.approverPeople.length === 0 ? [] : await this.db.client.person.findMany({ where, select });
    const left = found.filter((one) => !isRequester(row, humanOf(one)) && !hasVoted(row, humanOf(one)));
    return new Map(left.map(({ id, name }) => [id, { id, name }]));
  }

  private lastUse({ personId, targetId }: RequestRow): Promise<Date | null> {
    return lastUseOf(this.db.pool, personId, targetId);
  }

  private async earlier({ id, personId, profileId }: RequestRow): Promise<EarlierRequests> {
    const where = { personId, profileId, id: { lt: id } };
    const [count, last] = await Promise.all([
      this.db.client.request.count({ where }),
      this.db.client.request.findFirst({ where, orderBy: { id: 'desc' }, include: withVotes }),
    ]);
    return { count, last: last && presentRequest(last) };
  }
}

/** All that the requester's rows have or soon get: not over, and not being ended. */
const heldBy = ({ personId }: RequestRow): Prisma.GrantWhereInput => ({
  personId,
  state: { in: ['scheduled', 'opening', 'active'] },
});

/** Of a grant as little as a judgement needs: who reviews may not see it otherwise. */
const present = (row: HeldRow): RequesterAccess => ({
  grantId: row.id,
  targetId: row.targetId,
  targetName: row.target.name,
  profileId: row.profileId,
  profileName: row.profile.name,
  state: row.state as GrantState,
  startsAt: row.startsAt,
  endsAt: row.endsAt,
});
