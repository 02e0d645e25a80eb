import { Injectable } from '@nestjs/common';
import { Counter, Gauge, type Registry } from 'prom-client';
import { SealsService } from '../audit/seals.service.js';
import { HealthService } from './health.service.js';

/** How far the sealing of the record and its signatures are behind, looked up when metrics are asked for. */
@Injectable()
export class SealMetrics {
  private looking: ReturnType<SealsService['backlog']> | undefined;
  private lookingForSigned: ReturnType<SealsService['unsigned']> | undefined;

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
    this.ofSignatures(registers);
  }

  private ofSignatures(registers: Registry[]): void {
    const unsigned = this.unsigned.bind(this);
    const counts = this.seals.signings.bind(this.seals);
    new Gauge({
      name: 'usher_audit_unsigned',
      help: 'Lines of the sealed record that no signed checkpoint is over; without a key all of them',
      registers,
      async collect() {
        this.set((await unsigned()).lines);
      },
    });
    new Gauge({
      name: 'usher_audit_signature_lag_seconds',
      help: 'Seconds that the oldest of them has been sealed without',
      registers,
      async collect() {
        this.set((await unsigned()).seconds);
      },
    });
    new Counter({
      name: 'usher_audit_signings_total',
      help: 'Signatures that this process asked a key elsewhere for, by what came of it',
      labelNames: ['outcome'],
      registers,
      collect() {
        this.reset();
        for (const [outcome, count] of counts()) this.inc({ outcome }, count);
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

  private unsigned(): ReturnType<SealsService['unsigned']> {
    this.lookingForSigned ??= this.seals.unsigned().finally(() => {
      this.lookingForSigned = undefined;
    });
    return this.lookingForSigned;
  }
}
