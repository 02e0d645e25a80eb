import { Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import type { Prisma } from '../generated/prisma/client.js';
import { grantFacts, subjectOf, withNeighbours } from '../grants/grant.js';
import { humanOf } from '../identity/standing.js';
import type { PersonActor } from '../platform/actor.js';
import { concerning } from '../platform/call.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { asId, readPage, toPage } from '../platform/page.js';
import { Database, type Tx } from '../platform/state/database.js';
import { absent, PolicyService } from '../policy/policy.service.js';
import { visibility, visibleRows } from '../policy/visibility.js';
import { TargetsService } from '../targets/targets.service.js';
import { ReviewState, type Review, type ReviewPage, type ReviewQuery } from './reviews.contract.js';

const withGrant = {
  grant: { include: { ...withNeighbours, request: { select: { reason: true } } } },
  closer: { select: { name: true } },
} satisfies Prisma.BreakGlassReviewInclude;
type ReviewRow = Prisma.BreakGlassReviewGetPayload<{ include: typeof withGrant }>;

/** The look at every grant that was had by breaking the glass. Each begins with its grant, in the database itself. */
@Injectable()
export class ReviewsService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly audit: AuditService,
    private readonly targets: TargetsService,
  ) {}

  /** Those that this person may see, newest first. */
  async list(actor: PersonActor, query: ReviewQuery): Promise<ReviewPage> {
    const scopes = this.policy.visible(actor, 'viewReviews');
    const seen = visibleRows(await visibility(actor, scopes, (groups) => this.targets.ownedBy(groups)));
    const { before, take, limit } = readPage(query);
    const wanted: Prisma.BreakGlassReviewWhereInput = {
      ...(query.target !== undefined && { targetId: query.target }),
      ...(query.person !== undefined && { personId: query.person }),
      ...(query.state !== undefined && { closedAt: query.state === ReviewState.open ? null : { not: null } }),
    };
    const rows = await this.db.client.breakGlassReview.findMany({
      where: { AND: [seen, wanted, before === undefined ? {} : { id: { lt: before } }] },
      orderBy: { id: 'desc' },
      take,
      include: withGrant,
    });
    return toPage(rows, limit, present);
  }

  /**
   * Says what was found, once and for good. Never the holder, whatever policy says: the database would refuse it, too.
   * @throws DomainError `grant_not_found`, `policy_denied`, `own_review`, `review_closed`
   */
  async close(actor: PersonActor, id: string, comment: string): Promise<Review> {
    const { grant } = await this.row(this.db.client, id);
    this.policy.authorize(actor, 'closeReview', grantFacts(grant, this.clock.now()));
    if (grant.personId === actor.id) throw ownReview();
    return this.db.tx(async (tx) => {
      await tx.$queryRaw`SELECT 1 FROM break_glass_review WHERE id = ${grant.id}::uuid FOR UPDATE`;
      const { closedAt } = await this.row(tx, grant.id);
      if (closedAt !== null) throw closedAlready(closedAt);
      if (await this.areOneHuman(tx, actor.id, grant.personId)) throw ownReview();
      const data = { closedBy: actor.id, comment, closedAt: this.clock.now() };
      await tx.breakGlassReview.update({ where: { id: grant.id }, data });
      await this.audit.append(tx, actor, { action: 'review.close', ...subjectOf(grant), details: { comment } });
      return present(await this.row(tx, grant.id));
    });
  }

  /** One human may have two rows, by two providers. */
  private async areOneHuman(tx: Tx, ...ids: [string, string]): Promise<boolean> {
    const people = await tx.person.findMany({ where: { id: { in: ids } }, select: { id: true, email: true } });
    return new Set(people.map(humanOf)).size < 2;
  }

  private async row(db: Tx, id: string): Promise<ReviewRow> {
    const row = await db.breakGlassReview.findUnique({ where: { id: asId(id, 'review id') }, include: withGrant });
    if (!row) throw absent.grant();
    concerning(subjectOf(row.grant));
    return row;
  }
}

const ownReview = (): DomainError =>
  new DomainError(
    'forbidden',
    'own_review',
    'This is a review of what you did yourself.',
    'Somebody else must close it: an owner of the target, security or an administrator.',
  );

const closedAlready = (at: Date): DomainError =>
  new DomainError(
    'conflict',
    'review_closed',
    `The review was closed at ${at.toISOString()}.`,
    'What was found then stays; GET /v1/reviews shows it.',
  );

const present = (row: ReviewRow): Review => ({
  id: row.id,
  state: row.closedAt === null ? ReviewState.open : ReviewState.closed,
  requestId: row.grant.requestId,
  targetId: row.targetId,
  targetName: row.grant.target.name,
  personId: row.personId,
  personName: row.grant.person.name,
  profileName: row.grant.guardProfile,
  reason: row.grant.request.reason,
  openedAt: row.openedAt,
  endsAt: row.grant.closedAt ?? row.grant.endsAt,
  closedById: row.closedBy,
  closedByName: row.closer?.name ?? null,
  comment: row.comment,
  closedAt: row.closedAt,
});
