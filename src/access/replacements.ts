import { Inject, Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import type { Prisma } from '../generated/prisma/client.js';
import { IdentityService } from '../identity/identity.service.js';
import { refuseAbsent } from '../identity/standing.js';
import type { Actor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { DomainError } from '../platform/errors.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { Database } from '../platform/state/database.js';
import { stagesIn, totalOf } from '../targets/stages.js';
import { TargetsService } from '../targets/targets.service.js';
import { refuseOutgrown } from './promise.js';
import { pinned } from './quorum.js';
import { Renewals } from './renewals.js';
import { keptPlan, keptStages, type RequestRow } from './request.js';
import { RequestLedger } from './request-ledger.js';
import type { Plan } from './requests.contract.js';

/** Milliseconds until a target that did not answer is looked at again. */
const AGAIN_MS = 60_000;

/** Asks again what was agreed to and could not be opened, because the target had changed in between. */
@Injectable()
export class Replacements {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly identity: IdentityService,
    private readonly targets: TargetsService,
    private readonly renewals: Renewals,
    private readonly ledger: RequestLedger,
    private readonly jobs: Jobs,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  /**
   * Makes a new pending request out of one whose opening the target refused: by the same person, for the same reason, with the
   * plan that is true now. Those who agreed must agree anew. What needed nobody's yes is not asked for again: the person does
   * that. Where the target no longer allows the profile at all, that is on record and nothing is asked. Safe to repeat.
   */
  async replace(actor: Actor, requestId: string): Promise<void> {
    const old = await this.ledger.row(this.db.client, requestId);
    const unopened = old.grant?.state === 'closing' || old.grant?.state === 'failed';
    if (!unopened || old.approvalsNeeded === 0 || old.replacedBy !== null) return;
    const grantId = v7();
    try {
      refuseOutgrown(old);
      const plan = await this.renewals.plan(old, grantId);
      await this.add(actor, old, grantId, plan);
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      await this.failed(actor, old, error);
    }
  }

  private async add(actor: Actor, old: RequestRow, grantId: string, plan: Plan): Promise<void> {
    await this.db.tx(async (tx) => {
      refuseAbsent(await this.identity.hold(tx, [old.personId]));
      const { replacedBy } = await this.ledger.lock(tx, old.id);
      await this.targets.offered(tx, old.targetId);
      if (replacedBy === null) await this.ledger.add(tx, actor, this.request(old, grantId, plan), 'request.replace');
    });
  }

  private request(old: RequestRow, grantId: string, plan: Plan): Prisma.RequestUncheckedCreateInput {
    const now = this.clock.now();
    const { targetId, profileId, personId, login, database, method, mode, principalArn } = old;
    const { durationMinutes, reason, ticket, policies, startsAt, profile, target, viaServiceId } = old;
    const stages = stagesIn(profile.approvalStages);
    const needed = Math.max(old.approvalsNeeded, profile.approvalsNeeded, totalOf(stages));
    return {
      ...{ id: v7(), grantId, replacesId: old.id, plan: keptPlan(plan), state: 'pending' },
      ...{ targetId, profileId, personId, login, database, method, mode, principalArn },
      ...{ durationMinutes, reason, ticket, policies, viaServiceId },
      startsAt: startsAt !== null && startsAt > now ? startsAt : null,
      approvalsNeeded: needed,
      ...keptStages(pinned(stages, needed, target.ownerGroup)),
      createdAt: now,
      decideBy: new Date(now.getTime() + this.settings.requestTtlMinutes * 60_000),
    };
  }

  /** A target that does not answer is asked again for as long as the request itself would have waited. */
  private async failed(actor: Actor, old: RequestRow, error: DomainError): Promise<void> {
    const { code, message, advice } = error;
    const left = old.decideBy.getTime() - this.clock.now().getTime();
    await this.db.tx(async (tx) => {
      if (error.kind === 'unavailable' && left > 0) {
        await this.jobs.enqueue(tx, 'ask-again', { requestId: old.id }, new Date(Date.now() + AGAIN_MS));
        return;
      }
      await this.ledger.record(tx, actor, old, 'request.replace', { message, advice }, { outcome: 'failed', code });
    });
  }
}
