import { Injectable } from '@nestjs/common';
import type { Prisma } from '../generated/prisma/client.js';
import type { PersonActor, Reader } from '../platform/actor.js';
import { Database } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import { visibility, visibleRows } from '../policy/visibility.js';
import { TargetsService } from '../targets/targets.service.js';
import type { DelegationRow } from './delegation.js';
import { Titles } from './titles.js';

/** Which requests somebody sees: those that policy's scopes say, and what waits for those in whose place they may vote. */
@Injectable()
export class RequestSight {
  constructor(
    private readonly db: Database,
    private readonly policy: PolicyService,
    private readonly targets: TargetsService,
    private readonly titles: Titles,
  ) {}

  /** @throws DomainError `policy_denied` for who may see none at all */
  async of(actor: Reader): Promise<Prisma.RequestWhereInput> {
    const scopes = this.policy.visible(actor, 'viewRequests');
    const seen = visibleRows(await visibility(actor, scopes, (groups) => this.targets.ownedBy(groups)));
    if (seen.OR === undefined || !scopes.includes('owned')) return seen;
    return { OR: [...seen.OR, ...naming(actor), ...(actor.kind === 'person' ? await this.inPlace(actor) : [])] };
  }

  /** No more than a vote needs: what waits, and what became of it afterwards. */
  private async inPlace(actor: PersonActor): Promise<Prisma.RequestWhereInput[]> {
    const delegations = await this.titles.live(this.db.client, actor.id);
    const waiting = await Promise.all(delegations.map((one) => this.waitingFor(one)));
    return [...waiting, { votes: { some: { personId: actor.id, delegationId: { not: null } } } }];
  }

  private async waitingFor({ delegator }: DelegationRow): Promise<Prisma.RequestWhereInput> {
    const owned = { targetId: { in: await this.targets.ownedBy(delegator.groups) } };
    return { state: 'pending', personId: { not: delegator.id }, OR: [owned, ...naming(delegator)] };
  }
}

/** A stage names them, or a group of theirs. */
const naming = ({ id, groups }: { id: string; groups: readonly string[] }): Prisma.RequestWhereInput[] => [
  { approverGroups: { hasSome: [...groups] } },
  { approverPeople: { has: id } },
];
