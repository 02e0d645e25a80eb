import { Injectable } from '@nestjs/common';
import { InjectPinoLogger, PinoLogger } from 'nestjs-pino';
import { AuditService } from '../audit/audit.service.js';
import type { PersonActor } from '../platform/actor.js';
import { part } from '../platform/call.js';
import { toDomainError, toProblem } from '../platform/http/problem.js';
import { Database } from '../platform/state/database.js';
import { PolicyService, refuseBeyondKey } from '../policy/policy.service.js';
import type {
  DecideRequests,
  DecisionRefusal,
  DecisionResult,
  DecisionResults,
  RequestDecision,
} from './decisions.contract.js';
import { DecisionsService } from './decisions.service.js';
import { Verdict } from './requests.contract.js';

/** Many decisions in one call. Each is what it would be alone: its own transaction, its own word of policy, its own line on record. */
@Injectable()
export class DecisionBatch {
  constructor(
    private readonly db: Database,
    private readonly policy: PolicyService,
    private readonly audit: AuditService,
    private readonly decisions: DecisionsService,
    @InjectPinoLogger(DecisionBatch.name) private readonly log: PinoLogger,
  ) {}

  /**
   * One that is refused does not stop the others. When a crash cut the call short, the same call again finds what was decided
   * before it as `already_voted` or `request_not_pending`.
   * @throws DomainError `policy_denied` for who may see no request at all
   */
  async decide(actor: PersonActor, { decisions }: DecideRequests): Promise<DecisionResults> {
    this.policy.visible(actor, 'viewRequests');
    for (const { verdict } of decisions) refuseBeyondKey(actor, verdict === Verdict.approve ? 'approve' : 'deny');
    const results: DecisionResult[] = [];
    for (const one of decisions) results.push(await part(one.verdict, () => this.one(actor, one)));
    return this.db.tx(() => Promise.resolve({ results })); // the answer for the Idempotency-Key
  }

  private async one(actor: PersonActor, { id, verdict, comment, revision }: RequestDecision): Promise<DecisionResult> {
    const yes = { ...(comment !== undefined && { comment }), ...(revision !== undefined && { revision }) };
    try {
      const request =
        verdict === Verdict.approve
          ? await this.decisions.approve(actor, id, yes)
          : await this.decisions.deny(actor, id, comment);
      return { id, request, problem: null };
    } catch (thrown) {
      return { id, request: null, problem: await this.refusal(thrown) };
    }
  }

  /** As the filter does it for a call of its own. */
  private async refusal(thrown: unknown): Promise<DecisionRefusal> {
    const error = toDomainError(thrown);
    if (error.kind === 'unavailable') this.log.error({ err: thrown, code: error.code }, error.message);
    await this.audit.refused(error.onRecord ?? error);
    const { status, code, detail, advice } = toProblem(error);
    return { status, code, detail, advice: advice ?? null };
  }
}
