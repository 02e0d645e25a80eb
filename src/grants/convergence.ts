import { DomainError } from '../platform/errors.js';
import type { InspectedLogin, TargetSession } from '../postgres/postgres.contract.js';
import { conclude, isOfTheTarget, type Settlement } from './conclusion.js';
import { attempt, isInterrupted, leaseToOpen, opening, partOf, type Part, type Work } from './convergence-part.js';
import type { GrantRow } from './grant.js';
import { leaseOf, plan, type Change } from './plan.js';
import type { GrantPolicies } from './policies.service.js';
import { Readers, type Cleared, type Lost } from './readers.js';
import type { SeenBefore } from './tides.js';

/** Where a round works. */
export interface Place {
  target: GrantRow['target'];
  /** On the endpoint where roles are made. */
  session: TargetSession;
  serverMajor: number;
}

/** What a round works with. */
export interface Tools {
  policies: GrantPolicies;
  readers: Readers;
}

/**
 * One round: many logins of one target, looked at in one query, changed one by one, looked at again in one query.
 * A login that fails hinders no other; a failure of the whole target ends the round.
 */
export class Convergence {
  private readonly parts: Part[];
  /** Lent to end sessions on readers. */
  private readonly lent = new Set<string>();

  constructor(
    private readonly at: Place,
    private readonly tools: Tools,
    works: readonly Work[],
    private readonly now: Date,
    /** Where the target has just swept itself. */
    private readonly swept: SeenBefore | undefined,
  ) {
    this.parts = works.map(partOf);
  }

  /**
   * What became of each login, by its name.
   * @throws DomainError a failure of the whole target
   */
  async run(): Promise<Map<string, Settlement>> {
    const before = await this.look();
    for (const part of this.parts) this.prepare(part, before.get(part.login));
    const losers = this.parts.filter((part) => this.losesOnReaders(part));
    const elsewhere = await this.change(losers).finally(() => this.giveBack(losers));
    const after = await this.look();
    return new Map(this.parts.map((part) => [part.login, settled(part, after.get(part.login), elsewhere)]));
  }

  private async change(losers: readonly Part[]): Promise<Map<string, Cleared>> {
    await this.lend(losers);
    await this.apply();
    return this.clearReaders(losers);
  }

  /** Nothing is over while something is lent: what cannot be given back is tried again with the closing. */
  private async giveBack(losers: readonly Part[]): Promise<void> {
    for (const part of losers)
      if (this.lent.has(part.login) || isInterrupted(part, this.now))
        await attempt(part, () => this.tools.readers.giveBack(this.at.session, part.login));
  }

  private async look(): Promise<Map<string, InspectedLogin>> {
    const found = await this.at.session.inspect(this.parts.map(({ login }) => login));
    return new Map(found.map((login) => [login.login, login]));
  }

  private prepare(part: Part, actual: InspectedLogin | undefined): void {
    const { desired, ending, repair } = part;
    part.changes = plan({ desired, ending, actual, serverMajor: this.at.serverMajor, repair });
    part.sessions = actual?.backends.length ?? 0;
    const left = new Set(actual?.backends.map(({ pid }) => pid));
    part.done.sessionsEnded += this.swept?.get(part.login)?.filter((pid) => !left.has(pid)).length ?? 0;
    for (const grant of ending) if (!leaseOf(grant, actual)) part.done.fenced.add(grant.id);
  }

  /** From 16 on a session that keeps something loses at once what was taken; up to 15 it may have done SET ROLE before. */
  private losesOnReaders({ desired, ending, changes }: Part): boolean {
    const loses = ending.length > 0 || changes.some(({ kind }) => kind === 'close' || kind === 'repair');
    return loses && (desired.length === 0 || this.at.serverMajor < 16) && Readers.has(this.at.target);
  }

  private lend(losers: readonly Part[]): Promise<void> {
    if (losers.length === 0) return Promise.resolve();
    const { target, session } = this.at;
    return this.tools.readers.prepare(target, session, new Set(losers.map(({ login }) => login)), this.lent);
  }

  private clearReaders(losers: readonly Part[]): Promise<Map<string, Cleared>> {
    const lost = losers.map(({ login, desired, done }): Lost => {
      return { login, grantIds: done.fenced, everything: desired.length === 0 };
    });
    if (lost.length === 0) return Promise.resolve(new Map<string, Cleared>());
    return this.tools.readers.clear(this.at.target, this.at.session, lost, this.lent);
  }

  /** All doors first, then IAM and the sessions of all at once; only then is anything opened. */
  private async apply(): Promise<void> {
    for (const part of this.parts)
      await attempt(part, async () => {
        for (const change of part.changes) await this.shut(part, change);
      });
    const detaching = this.parts.map((part) => this.detach(part));
    await Promise.all([this.terminate(), ...detaching]);
    for (const part of this.parts)
      for (const change of part.changes) {
        const grant = 'grantId' in change ? part.byId.get(change.grantId) : undefined;
        if (change.kind === 'open' && grant) await opening(part, grant, () => this.open(part, grant));
        if (change.kind === 'attach' && grant) await opening(part, grant, () => this.tools.policies.attach(grant));
      }
  }

  private async shut({ login, byId, done }: Part, change: Change): Promise<void> {
    const { session } = this.at;
    if (change.kind === 'repair') {
      await session.repair(login);
      done.remade = true;
    }
    if (change.kind !== 'close') return;
    const why = byId.get(change.grantId)?.closeReason ?? 'no grant asks for it';
    const { locked } = await session.close({ login, grantId: change.grantId, why });
    if (!locked) done.fenced.add(change.grantId);
  }

  private async open({ done }: Part, grant: GrantRow): Promise<void> {
    await this.at.session.open(leaseToOpen(grant));
    done.remade = true;
  }

  private async terminate(): Promise<void> {
    const parts = this.parts.filter(({ changes }) => changes.some(({ kind }) => kind === 'terminate'));
    const one = (part: Part): Promise<void> =>
      attempt(part, async () => {
        part.done.sessionsEnded += await this.at.session.terminate([part.login]);
      });
    if (parts.length === 1) return Promise.all(parts.map(one)).then(() => undefined);
    if (parts.length === 0) return;
    try {
      await this.at.session.terminate(parts.map(({ login }) => login));
      // the target counts all of them together: what each had is told by the first look
      for (const part of parts) part.done.sessionsEnded += part.sessions;
    } catch (error) {
      if (!(error instanceof DomainError) || isOfTheTarget(error)) throw error;
      for (const part of parts)
        await attempt(part, async () => {
          await this.at.session.terminate([part.login]);
          part.done.sessionsEnded += part.sessions; // by the first call, mostly
        });
    }
  }

  private async detach({ changes, byId, done }: Part): Promise<void> {
    for (const change of changes) {
      const grant = change.kind === 'detach' ? byId.get(change.grantId) : undefined;
      if (!grant) continue;
      const why = await this.tools.policies.detach(grant);
      if (why === undefined) done.detached.add(grant.id);
      else done.attached.set(grant.id, why);
    }
  }
}

function settled(part: Part, after: InspectedLogin | undefined, elsewhere: ReadonlyMap<string, Cleared>): Settlement {
  const { desired, ending, done, login } = part;
  const cleared = elsewhere.get(login);
  done.sessionsEnded += cleared?.ended ?? 0;
  return conclude(desired, ending, after, cleared?.left ?? [], done);
}
