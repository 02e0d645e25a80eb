import { Injectable } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { SealsService } from '../audit/seals.service.js';
import { HealthService } from './health.service.js';

/** How far the sealing of the record is behind, looked up when metrics are asked for. */
@Injectable()
export class SealMetrics {
  private looking: ReturnType<SealsService['backlog']> | undefined;

  constructor(
    health: HealthService,
    private readonly seals: SealsService,
  ) {
    const backlog = this.backlog.bind(this);
    const registers = [health.registry];
    new Gauge({
      name: 'usher_audit_unsealed',
      help: 'Lines of the record that have no place in the sealed record yet',
      registers,
      async collect() {
        this.set((await backlog()).lines);
      },
    });
    new Gauge({
      name: 'usher_audit_seal_lag_seconds',
      help: 'Seconds that the oldest of them has waited',
      registers,
      async collect() {
        this.set((await backlog()).seconds);
      },
    });
  }

  /** Both are asked for at the same time, and one look answers both. */
  private backlog(): ReturnType<SealsService['backlog']> {
    this.looking ??= this.seals.backlog().finally(() => {
      this.looking = undefined;
    });
    return this.looking;
  }
}
