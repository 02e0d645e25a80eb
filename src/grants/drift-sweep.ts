import { Injectable } from '@nestjs/common';
import { setTimeout as pause } from 'node:timers/promises';
import { Database } from '../platform/state/database.js';
import { PolicyLook } from './drift-iam.js';
import { DriftRecord, type Detach } from './drift-record.js';
import { TargetLook } from './drift-target.js';
import { staleSince } from './drift.queries.js';
import { withLogins } from './grants.queries.js';
import { Places } from '../platform/places.js';

/** Between two tries for the lock, by those who are waited for. */
const STEP_MS = 100;

/** Looks, writes down, and has mended what the mode lets it mend. One look at a time at a target, over all processes. */
@Injectable()
export class DriftSweep {
  /** Each keeps a session of the pool of locks, of which the reconciler leaves two to others. */
  private readonly places = new Places(2);

  constructor(
    private readonly db: Database,
    private readonly targets: TargetLook,
    private readonly policies: PolicyLook,
    private readonly record: DriftRecord,
  ) {}

  /** @param before not if it was looked at, or tried to, since then: another process did */
  async target(id: string, before?: Date): Promise<void> {
    const target = await this.row(id, before);
    if (!target) return;
    // before it is taken: a target that does not answer keeps no session of our own database for that
    const reached = await this.targets.reach(target);
    await this.alone(id, async () => {
      const row = await this.row(id, before);
      if (row) await this.record.write(await this.targets.at(row, reached));
    });
  }

  /** IAM is slow and throttles: only what was found is written down alone. */
  async principals(arns: readonly string[]): Promise<void> {
    if (arns.length === 0) return;
    const look = await this.policies.at(arns);
    let detach: Detach[] = [];
    await this.alone('iam', async () => {
      detach = await this.record.write(look);
    });
    for (const arn of new Set(detach.map(({ principalArn }) => principalArn))) await this.policies.detach(arn);
  }

  /** What was found on targets that are no longer registered is nobody's to mend. */
  async forget(): Promise<void> {
    const where = { resolvedAt: null, target: { deletedAt: { not: null } } };
    const left = await this.db.client.driftFinding.findMany({
      ...{ where, distinct: ['targetId'], select: { targetId: true } },
    });
    for (const { targetId } of left) {
      const nothing = { targetId, at: null, findings: [], covers: () => true, again: {} };
      await this.alone(targetId, async () => {
        await this.record.write(nothing);
      });
    }
  }

  private row(id: string, before: Date | undefined) {
    const where = { id, deletedAt: null, ...(before && { AND: staleSince(before) }) };
    return this.db.client.target.findFirst({ where, include: { endpoints: true } });
  }

  /** A look that is under way is waited for: what it saw may be older than what the caller wants to know. */
  private async alone(what: string, work: () => Promise<void>): Promise<void> {
    const once = (free: ReadonlySet<string>): Promise<boolean> =>
      free.has(what) ? work().then(() => true) : Promise.resolve(false);
    const attempt = (): Promise<boolean> => withLogins(() => this.db.locks.connect(), 'drift', [what], once);
    while (!(await this.places.run(attempt))) await pause(STEP_MS);
  }
}
