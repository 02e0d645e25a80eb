import { Injectable } from '@nestjs/common';
import { setImmediate } from 'node:timers/promises';
import type { PersonActor, Reader } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { readPage, toPage } from '../platform/page.js';
import { RecentlyUsed } from '../platform/recently-used.js';
import { Database } from '../platform/state/database.js';
import {
  approvalsNeeded,
  PolicyService,
  refuseBeyondKey,
  type AccessContext,
  type ProfileFacts,
} from '../policy/policy.service.js';
import type { Sensitivity, TargetEnvironment } from '../targets/targets.contract.js';
import type { AccessOption, AccessOptionPage, AccessOptionQuery } from './options.contract.js';
import { offerFacts, offers, offersVersion, type Offer } from './options.queries.js';

/** Milliseconds for which decisions are made in one go; then everybody else has a turn. */
const TURN_MS = 10;
/** Milliseconds for which an answer is kept: policy may speak of the time of day. */
const KEPT_MS = 60_000;
/** People whose answers are kept; with 1,500 profiles one is half a megabyte. */
const MOST_KEPT = 50;
const LONGEST_MINUTES = 60;

export interface Options {
  readonly options: readonly AccessOption[];
  readonly decidedAt: Date;
}

type Answer = Pick<AccessOption, 'allowed' | 'approvalsNeeded' | 'advice'>;

/** What somebody may ask for, over all targets: policy is asked about each profile, and remembered until anything of it changes. */
@Injectable()
export class AccessOptions {
  private readonly kept = new RecentlyUsed<Options>(MOST_KEPT);
  private readonly underWay = new Map<string, Promise<Options>>();

  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
  ) {}

  /** The caller's own, newest profile first. */
  async list(actor: Reader, query: AccessOptionQuery): Promise<AccessOptionPage> {
    this.policy.authorize(actor, 'viewTargets');
    refuseBeyondKey(actor, 'request');
    if (actor.kind !== 'person') throw new Error('a service asks for nothing by itself');
    const { before, limit } = readPage(query);
    const { options, decidedAt } = await this.of(actor);
    const rows = options
      .filter(({ allowed }) => query.allowed === undefined || allowed === query.allowed)
      .filter(({ targetId }) => query.target === undefined || targetId === query.target)
      .filter(({ profileId }) => before === undefined || profileId < before)
      .map((option) => ({ id: option.profileId, option }));
    return { ...toPage(rows, limit, ({ option }) => option), decidedAt };
  }

  /** As policy would answer this person now. Many calls for one person wait for one answer. */
  async of(actor: PersonActor): Promise<Options> {
    const key = this.key(actor, await offersVersion(this.db.pool));
    const known = this.kept.get(key);
    if (known && Math.abs(this.clock.now().getTime() - known.decidedAt.getTime()) < KEPT_MS) return known;
    const underWay = this.underWay.get(key);
    if (underWay) return underWay;
    const asked = this.ask(actor).finally(() => this.underWay.delete(key));
    this.underWay.set(key, asked);
    return asked;
  }

  /** Everything that an answer rests on but the time. The person too: a policy may name one, and the service that calls for them. */
  private key(actor: PersonActor, version: string): string {
    const { id, locked, groups, authenticatedAt, acr, amr, via } = actor;
    const { address: _, correlationId: __, ...service } = via?.service ?? { address: '', correlationId: '' };
    const signIn = [authenticatedAt, acr, amr];
    return JSON.stringify([this.policy.version, id, locked, [...groups].sort(), signIn, via?.proof, service, version]);
  }

  private async ask(actor: PersonActor): Promise<Options> {
    const rows = await offers(this.db.pool);
    const [first] = rows;
    for (;;) {
      const policy = this.policy.version;
      const answer = { decidedAt: this.clock.now(), options: await this.decide(actor, rows) };
      // what was decided half by one policy and half by the next is nobody's answer
      if (policy !== this.policy.version) continue;
      if (first) this.kept.set(this.key(actor, first.version), answer);
      return answer;
    }
  }

  private async decide(actor: PersonActor, rows: readonly Offer[]): Promise<AccessOption[]> {
    const options: AccessOption[] = [];
    const answers = new Map<string, Answer>();
    const alike = this.policy.alike(actor, ['request', 'skipApproval']);
    let since = performance.now();
    for (const row of rows) {
      const facts = offerFacts(row);
      const key = `${row.methods[0]} ${alike(facts)}`;
      const answer = answers.get(key) ?? this.answer(actor, facts, row);
      answers.set(key, answer);
      options.push(present(row, answer));
      if (performance.now() - since < TURN_MS) continue;
      await setImmediate();
      since = performance.now();
    }
    return options;
  }

  private answer(actor: PersonActor, facts: ProfileFacts, { maxMinutes, methods }: Offer): Answer {
    const asked: AccessContext = {
      durationMinutes: Math.min(LONGEST_MINUTES, maxMinutes),
      method: methods[0] ?? 'iam',
      mode: 'session',
      hasTicket: true,
    };
    const decision = this.policy.foresee(actor, 'request', facts, asked);
    const { advice, stepUp } = decision;
    const allowed = decision.allowed || stepUp !== undefined; // another sign-in is all that is missing, and the advice says so
    if (!allowed) return { allowed, approvalsNeeded: 0, advice: [...advice] };
    const skip = this.policy.foresee(actor, 'skipApproval', facts, asked);
    return { allowed, approvalsNeeded: approvalsNeeded(facts, decision, skip), advice: [...advice] };
  }
}

const present = (offer: Offer, answer: Answer): AccessOption => ({
  targetId: offer.targetId,
  targetName: offer.targetName,
  environment: offer.environment as TargetEnvironment,
  profileId: offer.id,
  profileName: offer.name,
  readOnly: offer.readOnly,
  sensitivity: offer.sensitivity as Sensitivity,
  maxMinutes: offer.maxMinutes,
  methods: offer.methods,
  ...answer,
});
