import { Injectable } from '@nestjs/common';
import { setTimeout as pause } from 'node:timers/promises';
import { dbUserArn } from '../aws/connect-policy.js';
import { IamService } from '../aws/iam.service.js';
import { parsePrincipal } from '../aws/principal.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { RecentlyUsed } from '../platform/recently-used.js';
import { Database } from '../platform/state/database.js';
import type { MayRemain } from './conclusion.js';
import type { GrantRow } from './grant.js';
import { withLogins } from './grants.queries.js';
import { Places } from '../platform/places.js';

/** For so long a write to IAM may still take effect after the process that sent it was killed. */
const IN_FLIGHT_MS = 15_000;
/** For so long a policy may be there and not be felt, where nobody may ask IAM whether it is. AWS: seconds to a minute. */
const FELT_AFTER_MS = 60_000;
/** Between two tries for the lock of a principal, and how long it is tried. */
const STEP_MS = 100;
const PATIENCE_MS = 60_000;
/** Writes of one round of tidying. */
const TIDY = 30;
const MOST_WAITED_FOR = 10_000;

/** The IAM policies of attached mode: what a principal may reach is what its live grants say. */
@Injectable()
export class GrantPolicies {
  /** Each keeps a session of the pool of locks, of which the reconciler leaves two to others. */
  private readonly places = new Places(2);
  /** When a policy was first seen to be there, where IAM cannot be asked whether it is felt. */
  private readonly seen = new RecentlyUsed<number>(MOST_WAITED_FOR);

  /** Grants whose policy was taken off while their target did not answer. */
  private readonly apart = new RecentlyUsed<true>(MOST_WAITED_FOR);

  constructor(
    private readonly db: Database,
    private readonly iam: IamService,
    private readonly clock: Clock,
  ) {}

  /**
   * Attaches it, and asks IAM whether it is felt: until then the grant is not open.
   * @throws DomainError as {@link IamService.settle}; unavailable/`aws_unavailable` while it is not felt
   */
  async attach(grant: GrantRow): Promise<void> {
    const { principalArn } = grant;
    if (principalArn === null) return;
    const must = arnOf(grant);
    await this.settle(principalArn, { must });
    if (grant.openedAt === null) await this.felt(principalArn, must);
  }

  /**
   * Takes off what no live grant gives and looks whether it is gone. Answers why that cannot be said yet, or undefined.
   *
   * A process that was killed may have sent a document with it a moment before, for this grant or for another one on the
   * same principal, and IAM may carry that out after we took it off. So where such a write may be under way the grant is
   * held back and looked at again. What comes even later is found by the look for drift.
   */
  async detach(grant: GrantRow): Promise<MayRemain | undefined> {
    const { principalArn } = grant;
    if (principalArn === null) return undefined;
    try {
      const forMs = await this.mayStillCome(grant); // asked before the look: what comes after the look would not be seen
      await this.settle(principalArn);
      const arn = arnOf(grant);
      const left = (await this.iam.readScopedPolicies(principalArn)).some(({ arns }) => arns.includes(arn));
      if (left && !(await this.desired(principalArn)).includes(arn)) return { why: 'it is still attached' };
      return forMs > 0 ? { why: 'an opening that was cut off may still attach it', forMs } : undefined;
    } catch (error) {
      // IAM that fails must not keep anything else from being ended: the login is shut already
      if (!(error instanceof DomainError)) throw error;
      return { why: `it may still be attached: ${error.message}` };
    }
  }

  /**
   * Of grants that are being ended while their target does not answer: IAM needs no target, and that door is theirs as long as only
   * Usher is cut off. Once a grant, unless IAM fails too.
   */
  async detachApart(grants: readonly GrantRow[]): Promise<void> {
    const due = grants.filter(
      ({ id, state, mode }) => state === 'closing' && mode === 'attached' && !this.apart.get(id),
    );
    await Promise.all(
      due.map(async (grant) => {
        if ((await this.detach(grant)) === undefined) this.apart.set(grant.id, true);
      }),
    );
  }

  /**
   * Whether one more would fit beside what the live grants say.
   * @throws DomainError as {@link IamService.settle}
   */
  async fits(principalArn: string, arn: string): Promise<void> {
    await this.iam.fits({ principalArn, desired: await this.desired(principalArn) }, arn);
  }

  /** For a look for drift: everything on the principal is made what its live grants say, and tidied. */
  async tidy(principalArn: string): Promise<void> {
    await this.settle(principalArn, { most: TIDY });
  }

  private settle(principalArn: string, how: { must?: string; most?: number } = {}): Promise<number> {
    // read under the lock: what was agreed to or ended while it was waited for counts
    return this.alone(principalArn, async () =>
      this.iam.settle({ principalArn, desired: await this.desired(principalArn) }, how),
    );
  }

  /** Of all live grants on the principal, by whichever path it was known. One whose target makes no ARN gives nothing. */
  private async desired(principalArn: string): Promise<string[]> {
    const { partition, accountId, kind, name } = parsePrincipal(principalArn);
    const principal = { startsWith: `arn:${partition}:iam::${accountId}:${kind}/`, endsWith: `/${name}` };
    const grants = await this.db.client.grant.findMany({
      where: { mode: 'attached', state: { in: ['opening', 'active'] }, principalArn: principal },
      select: { login: true, principalArn: true, target: true },
    });
    const arns = grants.flatMap((grant) => {
      try {
        return [arnOf(grant)];
      } catch (error) {
        if (!(error instanceof DomainError)) throw error;
        return [];
      }
    });
    return [...new Set(arns)];
  }

  private async felt(principalArn: string, arn: string): Promise<void> {
    const key = `${principalArn} ${arn}`;
    const now = this.clock.now().getTime();
    const probed = await this.iam.probe(principalArn, arn);
    const since = this.seen.get(key) ?? now;
    if (probed === 'allowed' || (probed === 'unknown' && now - since >= FELT_AFTER_MS)) {
      this.seen.delete(key);
      return;
    }
    this.seen.set(key, since);
    throw notFelt(principalArn, probed, Math.max(1, Math.ceil((since + FELT_AFTER_MS - now) / 1000)));
  }

  /** For how many milliseconds, 0 where it may not. */
  private async mayStillCome({ id, openedAt, closeReason, closingSince, principalArn }: GrantRow): Promise<number> {
    const now = this.clock.now().getTime();
    const left = (closingSince?.getTime() ?? 0) + IN_FLIGHT_MS - now;
    if (left <= 0) return 0;
    if (openedAt === null && closeReason !== 'could not be opened') return left; // nobody saw its attempt answered
    const recently = { gte: new Date(now - IN_FLIGHT_MS) };
    const another = await this.db.client.grant.count({
      where: {
        ...{ id: { not: id }, mode: 'attached', principalArn },
        OR: [{ state: 'opening' }, { openedAt: recently }],
      },
    });
    return another > 0 ? left : 0;
  }

  /** One writer a principal, over all processes: each document is written from what was read before. */
  private async alone<T>(principalArn: string, work: () => Promise<T>): Promise<T> {
    const { partition, accountId, kind, name } = parsePrincipal(principalArn);
    const lock = `${partition}:${accountId}:${kind}/${name.toLowerCase()}`;
    const until = Date.now() + PATIENCE_MS;
    const once = (free: ReadonlySet<string>): Promise<{ done: T } | undefined> =>
      free.has(lock) ? work().then((done) => ({ done })) : Promise.resolve(undefined);
    while (Date.now() < until) {
      const turn = await this.places.run(() => withLogins(() => this.db.locks.connect(), 'iam', [lock], once));
      if (turn) return turn.done;
      await pause(STEP_MS);
    }
    throw new DomainError('unavailable', 'aws_unavailable', `Others write to ${principalArn} all the time.`);
  }
}

/** Of the database user that an attached grant is about. @throws DomainError as {@link dbUserArn} */
export const arnOf = ({ target, login }: { target: GrantTarget; login: string }): string =>
  dbUserArn({ ...target, user: login });

type GrantTarget = Omit<Parameters<typeof dbUserArn>[0], 'user'>;

function notFelt(principalArn: string, probed: 'implicitDeny' | 'explicitDeny' | 'unknown', seconds: number) {
  const why = {
    implicitDeny: 'the policy is written, and IAM does not let it count yet',
    explicitDeny: 'the policy is written, but another policy or a permissions boundary denies rds-db:connect',
    unknown:
      "the policy is written, and whether it counts cannot be asked: Usher's own principal lacks iam:SimulatePrincipalPolicy",
  }[probed];
  const advice =
    probed === 'explicitDeny'
      ? 'Take the denial away, or ask for session mode.'
      : 'IAM takes up to a minute; it is looked at again.';
  return new DomainError('unavailable', 'aws_unavailable', `${principalArn}: ${why}.`, advice, {
    retryAfterSeconds: probed === 'unknown' ? seconds : 5,
  });
}
