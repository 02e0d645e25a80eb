import { Injectable } from '@nestjs/common';
import type { Actor } from '../platform/actor.js';
import { Database } from '../platform/state/database.js';
import { presentFlaw, presentRule, refuseEnded, refuseProblems } from './policies.present.js';
import type {
  CheckPolicies,
  PolicyChange,
  PolicyCheck,
  PolicySimulation,
  SimulatePolicies,
} from './policies.contract.js';
import { fairDecisions, readDecisions, type KeptDecision } from './policies.queries.js';
import type { Decision } from './policy.contract.js';
import { PolicyService } from './policy.service.js';
import { tryOut, type Trial } from './trial.js';

const LAST = 1_000;
/** Decisions handed to the thread at once. */
const PAGE = 1_000;
const MAX_CHANGES = 500;

/** What a text would do; nothing is changed by asking. */
@Injectable()
export class PolicyTrialsService {
  constructor(
    private readonly db: Database,
    private readonly policy: PolicyService,
  ) {}

  /** @throws DomainError `policy_denied`, `too_many_requests` */
  async validate(actor: Actor, { text }: CheckPolicies): Promise<PolicyCheck> {
    this.policy.authorize(actor, 'administerPolicies');
    return tryOut(text, async ({ problems, policies }) => ({
      valid: problems.length === 0,
      problems: problems.map(presentFlaw),
      policies: policies.map(presentRule),
    }));
  }

  /** @throws DomainError `policy_denied`, `policy_invalid`, `too_many_requests` */
  async simulate(actor: Actor, { text, last = LAST }: SimulatePolicies): Promise<PolicySimulation> {
    this.policy.authorize(actor, 'administerPolicies');
    return tryOut(text, async (trial) => {
      refuseProblems(trial.problems);
      return this.run(trial, last);
    });
  }

  private async run(trial: Trial, last: number): Promise<PolicySimulation> {
    const result = { decisions: 0, unchanged: 0, newlyAllowed: 0, newlyRefused: 0, otherApprovals: 0 };
    const changes: PolicyChange[] = [];
    let oldest: KeptDecision | undefined;
    const ids = await fairDecisions(this.db.pool, last);
    for (let from = 0; from < ids.length; from += PAGE) {
      const page = await readDecisions(this.db.pool, ids.slice(from, from + PAGE));
      const answers = await trial.decide(page.map(({ question }) => question)).catch(refuseEnded);
      page.forEach((before, index) => {
        const after = answers[index];
        const kind = after ? kindOf(before, after) : 'unchanged';
        result[kind] += 1;
        if (after && kind !== 'unchanged' && changes.length < MAX_CHANGES) changes.push(presentChange(before, after));
      });
      result.decisions += page.length;
      oldest = page.at(-1) ?? oldest;
    }
    return { ...result, since: oldest?.at ?? null, changes };
  }
}

type Kind = 'unchanged' | 'newlyAllowed' | 'newlyRefused' | 'otherApprovals';

function kindOf(before: KeptDecision, after: Decision): Kind {
  if (before.allowed !== after.allowed) return after.allowed ? 'newlyAllowed' : 'newlyRefused';
  return before.approvals === after.approvals ? 'unchanged' : 'otherApprovals';
}

const presentChange = (before: KeptDecision, after: Decision): PolicyChange => ({
  at: before.at,
  actorId: before.actor_id,
  actor: before.actor_name,
  action: before.action,
  subjectType: before.question.resource.type.replace('Usher::', ''),
  subjectId: before.question.resource.id,
  before: { allowed: before.allowed, approvals: before.approvals, policies: [...before.policies] },
  after: { allowed: after.allowed, approvals: after.approvals, policies: [...after.policies] },
  faults: [...after.errors],
});
