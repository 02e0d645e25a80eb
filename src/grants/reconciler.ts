import { Injectable } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import type { TargetSession } from '../postgres/postgres.contract.js';
import { TargetAccess } from '../targets/target-access.service.js';
import { isOfTheTarget } from './conclusion.js';
import { Convergence } from './convergence.js';
import type { Work } from './convergence-part.js';
import type { GrantRow } from './grant.js';
import type { Reconcile } from './grants.queries.js';
import { GrantLedger } from './ledger.js';
import { Outages } from './outages.js';
import { GrantPolicies } from './policies.service.js';
import { Readers } from './readers.js';
import { GrantSettlement } from './settlement.js';
import { Tides, type SeenBefore } from './tides.js';

type Target = GrantRow['target'];

/** One login of a target that is to be worked on. */
export type Ask = Omit<Reconcile, 'targetId'>;

/** After a failure the target is left in peace for so long: who comes meanwhile meets the same failure. */
const PEACE_MS = 2_000;
/** How long to wait before asking again for a login that somebody else works on. */
export const BUSY_MS = 250;

/**
 * The one path on which access is given and taken: start, expiry, revoke, a moved end, drift, crash recovery. Looks at
 * what is, compares it with what should be, applies the difference, looks again. May run any number of times, and stop at
 * any line. One round is many logins of one target: what is asked of it is asked for all of them together.
 */
@Injectable()
export class Reconciler {
  private readonly failures = new Map<string, { error: DomainError; at: number }>();
  private readonly tides = new Tides();

  // seven parts, each a step of a round: to know what should be, to give and take in three places, and to write down
  constructor(
    private readonly ledger: GrantLedger,
    private readonly settlement: GrantSettlement,
    private readonly outages: Outages,
    private readonly access: TargetAccess,
    private readonly policies: GrantPolicies,
    private readonly readers: Readers,
    private readonly clock: Clock,
  ) {}

  /**
   * One login, when nobody else works on it any more.
   * Never throws for a fault of the target or of AWS: that is on record with the grants, and tried again.
   */
  async reconcile({ targetId, ...ask }: Reconcile): Promise<void> {
    while ((await this.round(targetId, [ask])).length > 0) await new Promise((resolve) => setTimeout(resolve, BUSY_MS));
  }

  /**
   * Many logins of one target, as far as nobody else works on them; answers with the others, which are due again as soon as
   * he is done. Throws as little as {@link reconcile}.
   */
  async round(targetId: string, asks: readonly Ask[]): Promise<Ask[]> {
    const logins = [...new Set(asks.map(({ login }) => login))];
    const repair = new Set(asks.filter((ask) => ask.repair).map(({ login }) => login));
    const target = await this.ledger.target(targetId);
    if (!target) return [];
    // before any login is taken: a target that does not answer keeps none from others for that
    const { needed, ended } = await this.ledger.needsTarget(targetId, logins);
    const reached = needed || repair.size > 0 ? await this.reach(target) : undefined;
    // sessions first: the sweep does not wait for what is to be written down of each
    const sweep = reached instanceof Reachable && Tides.isOne(ended);
    const swept = sweep ? this.tides.sweep(targetId, reached.session, logins) : undefined;
    swept?.catch(() => undefined); // heard below, unless something else fails before
    return this.ledger.alone(targetId, logins, async (free) => {
      const putOff = asks.filter(({ login }) => !free.has(login));
      const grants = await this.ledger.advance(targetId, [...free]);
      const working = Map.groupBy(
        grants.filter(({ state }) => state !== 'scheduled'),
        ({ login }) => login,
      );
      // what a look for drift found may have no grant left: the store was restored, or somebody meddled with a closed login
      const works = [...free]
        .map((login): Work => ({ login, grants: working.get(login) ?? [], repair: repair.has(login) }))
        .filter((work) => work.grants.length > 0 || work.repair);
      if (works.length === 0) {
        if (reached instanceof Reachable) await this.answered(target);
        return putOff;
      }
      // their time came between the question and now
      if (!reached) return [...putOff, ...works.map(({ login }) => ({ login }))];
      await this.work(target, reached, works, swept);
      return putOff;
    });
  }

  private async work(
    target: Target,
    reached: Reachable | Unreached,
    works: readonly Work[],
    swept: Promise<SeenBefore> | undefined,
  ): Promise<void> {
    const grants = works.flatMap((work) => work.grants);
    if (reached instanceof Unreached) {
      await this.silent(target, grants, reached.error, reached.tried);
      return;
    }
    try {
      const { policies, readers } = this;
      const { session, serverMajor } = reached;
      const at = { target, session, serverMajor };
      const found = await new Convergence(at, { policies, readers }, works, this.clock.now(), await swept).run();
      await this.settlement.settle(works, found);
      await this.answered(target);
    } catch (error) {
      if (!(error instanceof DomainError) || !isOfTheTarget(error)) throw error;
      await this.silent(target, grants, this.failed(target, error), true);
    }
  }

  private async silent({ id }: Target, grants: readonly GrantRow[], error: DomainError, tried: boolean): Promise<void> {
    await this.outages.silent(id, grants, error, tried);
    await this.policies.detachApart(grants);
  }

  private async reach(target: Target): Promise<Reachable | Unreached> {
    const failure = this.failures.get(target.id);
    if (failure && Date.now() - failure.at < PEACE_MS) return new Unreached(failure.error, false);
    try {
      const session = await this.access.writer(target, 'reconcile');
      const serverMajor = await this.access.serverMajor(target, session);
      this.failures.delete(target.id);
      return new Reachable(session, serverMajor);
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      return new Unreached(this.failed(target, error), true);
    }
  }

  /** Only who has done what was asked is back: one that says hello and then fails is tried ever more seldom, as before. */
  private async answered({ id, downSince }: Target): Promise<void> {
    if (downSince !== null) await this.outages.answered(id);
  }

  /** Sessions that were open to it are not trusted any more: each could be silent for as long as the first was. */
  private failed(target: Target, error: DomainError): DomainError {
    this.access.lost(target, 'reconcile');
    this.failures.set(target.id, { error, at: Date.now() });
    return error;
  }
}

class Reachable {
  constructor(
    readonly session: TargetSession,
    readonly serverMajor: number,
  ) {}
}

class Unreached {
  constructor(
    readonly error: DomainError,
    /** It was asked just now. */
    readonly tried: boolean,
  ) {}
}
