import { Injectable } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { MonthsService } from '../audit/months.service.js';
import { HealthService } from './health.service.js';

/** Whether the record has months to stand in, looked up when metrics are asked for. */
@Injectable()
export class MonthMetrics {
  constructor(health: HealthService, months: MonthsService) {
    const registers = [health.registry];
    new Gauge({
      name: 'usher_audit_days_ahead',
      help: 'Days from now for which the record has its months',
      registers,
      async collect() {
        this.set((await months.ahead()).days);
      },
    });
    new Gauge({
      name: 'usher_audit_stray_lines',
      help: 'Lines of the record that stand in no month, counted up to a thousand',
      registers,
      async collect() {
        this.set((await months.ahead()).stray);
      },
    });
  }
}
