import { Inject, Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { systemActor } from '../platform/actor.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { RequestsService } from './requests.service.js';

/** Ends requests that nobody answers. */
@Injectable()
export class RequestJobs {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly jobs: Jobs,
    private readonly requests: RequestsService,
  ) {}

  async start(): Promise<void> {
    if (!this.settings.jobs) return;
    await this.jobs.work('sweep-requests', 1, () =>
      this.requests.expireOverdue(systemActor('sweep-requests', randomUUID())),
    );
    await this.jobs.every('sweep-requests', '* * * * *');
    await this.jobs.work<{ requestId: string }>('expire-requests', 1, ({ requestId }) =>
      this.requests.expire(systemActor('expire-requests', randomUUID()), requestId),
    );
  }
}
