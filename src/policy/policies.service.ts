import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import type { AuditAction } from '../audit/events.js';
import { AuditService } from '../audit/audit.service.js';
import type { Actor, PersonActor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { readPage, toPage } from '../platform/page.js';
import { Database, type Tx } from '../platform/state/database.js';
import { readDefaultPolicy, type PolicyAbout, type PolicyEngine } from './engine.js';
import { lineDiff } from './line-diff.js';
import {
  PolicyActivationReason,
  PolicySource,
  type ActivatePolicies,
  type PolicySet,
  type PolicyVersionPage,
  type PolicyVersionQuery,
  type PolicyVersionText,
  type RollBackPolicies,
} from './policies.contract.js';
import { presentSet, presentVersion, refuseEnded, refuseProblems, withHistory } from './policies.present.js';
import { lockActivation } from './policies.queries.js';
import { newestActivation, PolicyInForce } from './policy-in-force.js';
import { refuseLockout } from './policy-lockout.js';
import { PolicyService } from './policy.service.js';
import { tryOut } from './trial.js';

/** A text that is to rule, and what of it is to be said. */
interface Wanted {
  readonly text: string;
  readonly action: Extract<AuditAction, `policy.${string}`>;
  /** Finds or writes the version; null for what is shipped. */
  readonly version: (tx: Tx) => Promise<{ id: string; number: number; note: string } | null>;
  /** The number that rules as the caller knows it; undefined: whichever does. */
  readonly basedOn?: number;
}

/** The policies that rule, what they were before, and the change of them. */
@Injectable()
export class PoliciesService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly audit: AuditService,
    private readonly inForce: PolicyInForce,
  ) {}

  /** @throws DomainError `policy_denied` */
  current(actor: Actor): PolicySet {
    this.policy.authorize(actor, 'viewPolicies');
    const { active, fromFile } = this.inForce;
    const engine = this.ruling();
    const number = fromFile ? null : numberOf(active?.version);
    const source = fromFile ? PolicySource.file : number === SHIPPED ? PolicySource.shipped : PolicySource.database;
    return presentSet({
      ...{ number, source, sha256: engine.sha256, text: engine.text, policies: engine.about() },
      ...{ activatedAt: active?.at ?? null, activatedBy: active?.by ?? null },
    });
  }

  /** The newest first. @throws DomainError `policy_denied`, `invalid_cursor` */
  async versions(actor: Actor, query: PolicyVersionQuery): Promise<PolicyVersionPage> {
    this.policy.authorize(actor, 'viewPolicies');
    const { before, take, limit } = readPage(query);
    const rows = await this.db.client.policyVersion.findMany({
      where: before === undefined ? {} : { id: { lt: before } },
      orderBy: { id: 'desc' },
      take,
      include: withHistory,
    });
    const active = await this.activeNumber();
    return toPage(rows, limit, (row) => presentVersion(row, active));
  }

  /** @throws DomainError `policy_denied`, `policy_version_not_found` */
  async version(actor: Actor, number: number): Promise<PolicyVersionText> {
    this.policy.authorize(actor, 'viewPolicies');
    const row = await this.find(this.db.client, number);
    const before = await this.db.client.policyVersion.findUnique({ where: { number: number - 1 } });
    const diff = lineDiff(before?.text ?? readDefaultPolicy(), row.text);
    return { ...presentVersion(row, await this.activeNumber()), text: row.text, diff };
  }

  /**
   * Stores a text as the next version and lets it rule, in every process.
   * @throws DomainError `policy_denied`, `policy_from_file`, `policy_invalid`, `policy_locks_out`, `concurrent_change`, `too_many_requests`
   */
  async activate(actor: PersonActor, { text, note, basedOn }: ActivatePolicies): Promise<PolicySet> {
    this.policy.authorize(actor, 'administerPolicies');
    this.refuseFile();
    const version = (tx: Tx) => this.store(tx, actor, { text, note });
    return this.change(actor, { text, action: 'policy.activate', version, basedOn });
  }

  /**
   * Lets an earlier version rule again, or what is shipped.
   * @throws DomainError `policy_denied`, `policy_from_file`, `policy_version_not_found`, `policy_invalid`, `policy_locks_out`, `concurrent_change`
   */
  async rollBack(actor: PersonActor, { number }: RollBackPolicies): Promise<PolicySet> {
    this.policy.authorize(actor, 'administerPolicies');
    this.refuseFile();
    const row = number === SHIPPED ? null : await this.find(this.db.client, number);
    const text = row?.text ?? readDefaultPolicy();
    return this.change(actor, { text, action: 'policy.rollback', version: () => Promise.resolve(row) });
  }

  private async change(actor: PersonActor, wanted: Wanted): Promise<PolicySet> {
    const question = this.policy.question(actor, 'administerPolicies');
    const set = await tryOut(wanted.text, async (trial) => {
      refuseProblems(trial.problems);
      await refuseLockout(trial, question).catch(refuseEnded);
      return this.db.tx((tx) => this.record(tx, actor, wanted, trial.policies));
    });
    await this.inForce.refresh(); // the others hear of it; whoever changed it meets it with the next call
    return set;
  }

  private async record(
    tx: Tx,
    actor: PersonActor,
    { text, action, version, basedOn }: Wanted,
    policies: readonly PolicyAbout[],
  ): Promise<PolicySet> {
    await lockActivation(tx);
    const before = await newestActivation(tx);
    const from = numberOf(before.version);
    // whoever may change policy was decided by the rules of this process: they must be those that rule
    if (before.id !== this.inForce.active?.id || (basedOn !== undefined && basedOn !== from)) throw outdated(from);
    const row = await version(tx);
    const at = this.clock.now();
    const reason = action === 'policy.activate' ? PolicyActivationReason.activation : PolicyActivationReason.rollback;
    await tx.policyActivation.create({ data: { versionId: row?.id ?? null, activatedById: actor.id, reason, at } });
    const [number, sha256] = [numberOf(row), hashOf(text)];
    const details = {
      number,
      sha256,
      from,
      ...(row && { note: row.note }),
      ...differences(this.ruling().about(), policies),
    };
    await this.audit.append(tx, actor, { action, details });
    const source = row === null ? PolicySource.shipped : PolicySource.database;
    return presentSet({ number, source, sha256, text, policies, activatedAt: at, activatedBy: actor.name });
  }

  private async store(tx: Tx, actor: PersonActor, { text, note }: Pick<ActivatePolicies, 'text' | 'note'>) {
    const { _max } = await tx.policyVersion.aggregate({ _max: { number: true } });
    const data = { id: v7(), number: (_max.number ?? 0) + 1, text, sha256: hashOf(text), authorId: actor.id, note };
    return tx.policyVersion.create({ data: { ...data, createdAt: this.clock.now() } });
  }

  /** What was just asked is loaded. */
  private ruling(): PolicyEngine {
    const { engine } = this.inForce;
    if (!engine) throw new Error('policy allowed something although none is loaded');
    return engine;
  }

  /** Undefined where a file rules. */
  private async activeNumber(): Promise<number | undefined> {
    return this.inForce.fromFile ? undefined : numberOf((await newestActivation(this.db.client)).version);
  }

  private async find(db: Tx, number: number) {
    const where = { number: Number.isInteger(number) && number > 0 && number < 2 ** 31 ? number : 0 };
    const row = await db.policyVersion.findUnique({ where, include: withHistory });
    if (row) return row;
    throw new DomainError(
      'not_found',
      'policy_version_not_found',
      'There is no such version of the policy.',
      'GET /v1/policies/versions lists them.',
    );
  }

  private refuseFile(): void {
    if (!this.inForce.fromFile) return;
    throw new DomainError(
      'conflict',
      'policy_from_file',
      'Policy comes from a file here, and is changed there.',
      'Change the file that USHER_POLICY_FILE names and start Usher anew; without that setting policy is changed here.',
    );
  }
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** In place of a number, for what is shipped. */
const SHIPPED = 0;
const numberOf = (version: { number: number } | null | undefined): number => version?.number ?? SHIPPED;

const outdated = (ruling: number): DomainError =>
  new DomainError(
    'conflict',
    'concurrent_change',
    `By now ${ruling === SHIPPED ? 'the shipped policy' : `version ${ruling}`} rules.`,
    'Look at GET /v1/policies, put your change into that text, and say its number as basedOn.',
  );

/** Which policies came, went and changed, by id. */
function differences(before: readonly PolicyAbout[], after: readonly PolicyAbout[]) {
  const [was, is] = [before, after].map((all) => new Map(all.map(({ id, text }) => [id, text]))) as [
    Map<string, string>,
    Map<string, string>,
  ];
  return {
    added: [...is.keys()].filter((id) => !was.has(id)),
    removed: [...was.keys()].filter((id) => !is.has(id)),
    changed: [...is.keys()].filter((id) => was.has(id) && was.get(id) !== is.get(id)),
  };
}
