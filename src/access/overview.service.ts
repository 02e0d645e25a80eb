import { Injectable } from '@nestjs/common';
import type { Person, Prisma } from '../generated/prisma/client.js';
import type { GrantState } from '../grants/grants.contract.js';
import type { PersonActor, Reader, PersonId } from '../platform/actor.js';
import { concerning } from '../platform/call.js';
import { DomainError } from '../platform/errors.js';
import { asId, readPage, toPage } from '../platform/page.js';
import { Database } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import { visibility, visibleRows } from '../policy/visibility.js';
import { TargetsService } from '../targets/targets.service.js';
import { AccessOptions } from './options.service.js';
import type { HeldAccess, HeldAccessPage, HeldAccessQuery, PersonAccess } from './overview.contract.js';
import { lastUses } from './overview.queries.js';

/** Of what one person has or could have, at most so much is told. */
const MOST = 500;
const OVER = ['closed' as const, 'failed' as const];

const named = {
  person: { select: { name: true } },
  target: { select: { name: true } },
  profile: { select: { name: true } },
  request: { select: { breakGlass: true } },
} satisfies Prisma.GrantInclude;
type HeldRow = Prisma.GrantGetPayload<{ include: typeof named }>;

/** Who has, had and could have access to what: for reviews of it. A few statements each, whatever there is. */
@Injectable()
export class AccessOverview {
  constructor(
    private readonly db: Database,
    private readonly policy: PolicyService,
    private readonly targets: TargetsService,
    private readonly options: AccessOptions,
  ) {}

  /**
   * @param query the page of what they had
   * @throws DomainError `policy_denied`, `invalid_id`, `person_not_found`
   */
  async ofPerson(actor: PersonActor, id: string, query: HeldAccessQuery): Promise<PersonAccess> {
    const person = await this.db.client.person.findUnique({ where: { id: asId(id, 'person id') } });
    this.policy.authorize(actor, 'viewAccess', { id, locked: person?.locked ?? false });
    if (!person) throw noSuchPerson();
    concerning({ subjectId: person.id });
    const [now, had, { options }] = await Promise.all([
      this.held({ personId: id, state: { notIn: OVER } }, MOST),
      this.page({ personId: id, state: { in: OVER } }, query),
      this.options.of(asIfCalling(person, actor)),
    ]);
    const could = options.filter(({ allowed }) => allowed);
    return {
      ...{ personId: person.id, personName: person.name, now: await this.present(now), had },
      ...{ could: could.slice(0, MOST), couldMore: could.length > MOST },
      ...{ groups: person.groups, lastSeenAt: person.lastSeenAt },
    };
  }

  /**
   * Who has access to a target now, as far as this person may see it.
   * @throws DomainError `policy_denied`, `invalid_id`, `target_not_found`
   */
  async ofTarget(actor: Reader, id: string, query: HeldAccessQuery): Promise<HeldAccessPage> {
    const scopes = this.policy.visible(actor, 'viewGrants');
    const { id: targetId } = await this.targets.row(this.db.client, id);
    const seen = visibleRows(await visibility(actor, scopes, (groups) => this.targets.ownedBy(groups)));
    return this.page({ AND: [seen, { targetId, state: { notIn: OVER } }] }, query);
  }

  private async page(where: Prisma.GrantWhereInput, query: HeldAccessQuery): Promise<HeldAccessPage> {
    const { before, take, limit } = readPage(query);
    const rows = await this.held({ AND: [where, before === undefined ? {} : { id: { lt: before } }] }, take);
    const { items, nextCursor } = toPage(rows, limit, (row) => row);
    return { items: await this.present(items), nextCursor };
  }

  private held(where: Prisma.GrantWhereInput, take: number): Promise<HeldRow[]> {
    return this.db.client.grant.findMany({ where, orderBy: { id: 'desc' }, take, include: named });
  }

  private async present(rows: readonly HeldRow[]): Promise<HeldAccess[]> {
    const ids = rows.map(({ id }) => id);
    const used = await lastUses(this.db.pool, ids);
    return rows.map((row) => presentHeld(row, used.get(row.id) ?? null));
  }
}

const presentHeld = (row: HeldRow, lastUsedAt: Date | null): HeldAccess => ({
  grantId: row.id,
  personId: row.personId,
  personName: row.person.name,
  targetId: row.targetId,
  targetName: row.target.name,
  profileId: row.profileId,
  profileName: row.profile.name,
  state: row.state as GrantState,
  breakGlass: row.request.breakGlass,
  startsAt: row.startsAt,
  endsAt: row.endsAt,
  closedAt: row.closedAt,
  closeReason: row.closeReason,
  lastUsedAt,
});

/** Who may not come back can have nothing, like who is locked. */
const asIfCalling = (person: Person, { correlationId }: PersonActor): PersonActor => ({
  kind: 'person',
  id: person.id as PersonId,
  name: person.name,
  issuer: person.issuer,
  subject: person.subject,
  groups: person.groups,
  locked: person.locked || person.removedAt !== null,
  authenticatedAt: undefined,
  address: undefined,
  correlationId,
});

const noSuchPerson = (): DomainError =>
  new DomainError('not_found', 'person_not_found', 'There is no such person.', 'GET /v1/people lists them.');
