import { Inject, Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { Departures } from '../grants/departures.service.js';
import { systemActor, type Actor } from '../platform/actor.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { Jobs, type Queue } from '../platform/jobs/jobs.js';
import { TargetsService } from '../targets/targets.service.js';
import { Lapses } from './lapses.js';
import { Replacements } from './replacements.js';

/**
 * What becomes of requests by themselves: they expire, are asked again, and leave with their target. The queue of targets that
 * leave is worked here and not beside the grants: what waits must be cancelled, too, and this is the module that knows both.
 */
@Injectable()
export class RequestJobs {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly jobs: Jobs,
    private readonly lapses: Lapses,
    private readonly replacements: Replacements,
    private readonly departures: Departures,
    private readonly targets: TargetsService,
  ) {}

  async start(): Promise<void> {
    if (!this.settings.jobs) return;
    await this.jobs.work('sweep-requests', 1, () => this.sweep());
    await this.jobs.every('sweep-requests', '* * * * *');
    await this.jobs.work<{ requestId: string }>('expire-requests', 1, ({ requestId }) =>
      this.lapses.expire(job('expire-requests'), requestId),
    );
    await this.jobs.work<{ requestId: string }>('ask-again', 1, ({ requestId }) =>
      this.replacements.replace(job('ask-again'), requestId),
    );
    await this.jobs.work<{ targetId: string }>('leave-target', 1, ({ targetId }) => this.leave(targetId));
  }

  /** Once a minute: what a lost job left behind, and targets whose last grant was closed since. */
  async sweep(): Promise<void> {
    await this.lapses.expireOverdue(job('sweep-requests'));
    for (const targetId of await this.targets.removing()) await this.leave(targetId);
  }

  private async leave(targetId: string): Promise<void> {
    const actor = job('leave-target');
    await this.lapses.ofTarget(actor, targetId);
    await this.departures.ofTarget(actor, targetId);
  }
}

const job = (name: Queue): Actor => systemActor(name, randomUUID());
