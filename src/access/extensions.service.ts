import { Inject, Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import type { Prisma } from '../generated/prisma/client.js';
import { grantFacts, type GrantRow } from '../grants/grant.js';
import type { IamMode } from '../grants/grants.contract.js';
import { GrantsService } from '../grants/grants.service.js';
import { minutesTo, refuseEnded } from '../grants/lifecycle.js';
import { IdentityService } from '../identity/identity.service.js';
import { refuseAbsent } from '../identity/standing.js';
import type { PersonActor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { DomainError } from '../platform/errors.js';
import { Database } from '../platform/state/database.js';
import { approvalsNeeded, PolicyService } from '../policy/policy.service.js';
import { profileFacts } from '../targets/profile.js';
import { stagesIn, type Stage } from '../targets/stages.js';
import { refuseWithdrawn, targetFacts } from '../targets/target.js';
import type { LoginMethod } from '../targets/targets.contract.js';
import { TargetsService } from '../targets/targets.service.js';
import { Drafts } from './drafts.service.js';
import type { ExtendGrant } from './extensions.contract.js';
import { extendedEnd, promised } from './promise.js';
import { pinned } from './quorum.js';
import { keptPlan, keptStages, presentRequest } from './request.js';
import { extensionPending, RequestLedger } from './request-ledger.js';
import type { AccessRequest, Plan } from './requests.contract.js';

/** What policy says of the whole time that a grant would then have. */
interface Asked {
  policies: string[];
  approvalsNeeded: number;
  stages: Stage[];
}

/** More time for a grant that lives: asked for, shown and agreed to like access itself, and the same life goes on. Nine collaborators for that reason. */
@Injectable()
export class ExtensionsService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly drafts: Drafts,
    private readonly identity: IdentityService,
    private readonly targets: TargetsService,
    private readonly grants: GrantsService,
    private readonly ledger: RequestLedger,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  /**
   * @throws DomainError `grant_not_found`, `not_your_grant`, `grant_closed`, `target_removing`, `invalid_duration`,
   *   `policy_denied`, `extension_pending`, `profile_not_allowed`, `target_unreachable`, … with nothing stored
   */
  async extend(actor: PersonActor, grantId: string, input: ExtendGrant): Promise<AccessRequest> {
    const grant = await this.grants.row(this.db.client, grantId);
    if (grant.personId !== actor.id) throw this.policy.veiled(actor, grantFacts(grant, this.clock.now()), notYours());
    refuseEnded(grant, this.clock.now());
    refuseWithdrawn(grant.target);
    const asked = this.ask(actor, grant, input);
    const plan = await this.plan(grant, input);
    return this.db.tx(async (tx) => {
      refuseAbsent(await this.identity.hold(tx, [actor.id]));
      await this.targets.offered(tx, grant.targetId);
      const pending = await tx.request.count({ where: { extendsId: grant.id, state: 'pending' } });
      if (pending > 0) throw extensionPending();
      return presentRequest(await this.ledger.add(tx, actor, this.request(grant, input, asked, plan)));
    });
  }

  /** The same policy as for access of that length. */
  private ask(actor: PersonActor, grant: GrantRow, input: ExtendGrant): Asked {
    const { profile } = grant;
    const total = minutesTo(grant, endOf(grant, input));
    if (total > profile.maxMinutes) throw tooLong(grant);
    const facts = profileFacts(profile, targetFacts(grant.target));
    const context = {
      durationMinutes: total,
      method: grant.method,
      mode: grant.mode,
      hasTicket: Boolean(input.ticket),
    };
    const decision = this.policy.authorize(actor, 'request', facts, context);
    const skip = this.policy.decide(actor, 'skipApproval', facts, context);
    const needed = approvalsNeeded(facts, decision, skip);
    const policies = [...new Set([...decision.policies, ...(needed === 0 ? skip.policies : [])])].sort();
    const stages = pinned(stagesIn(profile.approvalStages), needed, grant.target.ownerGroup);
    return { policies, approvalsNeeded: needed, stages };
  }

  /**
   * The very call that opened it, with another end: the target keeps the lease and moves it. Where the target's list says
   * otherwise by now, the lease gives less than it was opened with, and a plan would promise what nobody gets.
   */
  private async plan(grant: GrantRow, input: ExtendGrant): Promise<Plan> {
    const [method, mode] = [grant.method as LoginMethod, grant.mode as IamMode];
    const profile = promised({ profile: grant.profile, extends: grant });
    const planned = { target: grant.target, profile, method, mode, principalArn: grant.principalArn };
    try {
      return await this.drafts.plan(planned, grant.login, grant.personId, grant.id, endOf(grant, input));
    } catch (error) {
      if (!(error instanceof DomainError) || error.code !== 'profile_not_allowed') throw error;
      const advice = 'Use what is left of the grant, and ask for access anew with POST /v1/requests.';
      throw new DomainError('invalid', error.code, error.message, advice, { cause: error });
    }
  }

  private request(
    grant: GrantRow,
    { durationMinutes, reason, ticket }: ExtendGrant,
    { policies, approvalsNeeded: needed, stages }: Asked,
    plan: Plan,
  ): Prisma.RequestUncheckedCreateInput {
    const now = this.clock.now();
    const { targetId, profileId, personId, login, database, method, mode, principalArn } = grant;
    return {
      ...{ id: v7(), kind: 'extend', extendsId: grant.id, grantId: null },
      ...{ targetId, profileId, personId, login, database, method, mode, principalArn },
      ...{ durationMinutes, reason, ticket: ticket ?? null, policies, plan: keptPlan(plan) },
      ...keptStages(stages),
      state: needed === 0 ? 'approved' : 'pending',
      approvalsNeeded: needed,
      createdAt: now,
      decideBy: new Date(now.getTime() + this.settings.requestTtlMinutes * 60_000),
      decidedAt: needed === 0 ? now : null,
    };
  }
}

const endOf = (grant: GrantRow, { durationMinutes }: ExtendGrant): Date =>
  extendedEnd({ extends: grant, durationMinutes }) ?? grant.endsAt;

const notYours = (): DomainError =>
  new DomainError(
    'forbidden',
    'not_your_grant',
    'Only its holder may ask for more time on a grant.',
    'Ask for access of your own with POST /v1/requests.',
  );

/** Counted from the beginning, as the target counts from its opening, which is never earlier. */
function tooLong(grant: GrantRow): DomainError {
  const { name, maxMinutes } = grant.profile;
  const left = Math.max(0, maxMinutes - minutesTo(grant, grant.endsAt));
  return new DomainError(
    'invalid',
    'invalid_duration',
    `Profile ${name} gives at most ${maxMinutes} minutes from the beginning of the grant: ${left} more can be had.`,
    left > 0 ? 'Ask for less.' : 'Ask for access anew with POST /v1/requests when this has ended.',
  );
}
