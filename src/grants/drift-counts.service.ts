import { Injectable } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import { Database } from '../platform/state/database.js';
import { DriftKind } from './drift.contract.js';
import { driftGauges } from './drift.queries.js';

export interface DriftCounts {
  /** Open findings on registered targets; every kind is there, so that one that is over falls to 0. */
  open: ReadonlyMap<string, number>;
  /** Seconds since the target that was looked at longest ago was looked at; 0 without targets. */
  oldest: number;
}

/** What looks for drift found, in numbers, for the gauges of `/metrics`. Names nothing. */
@Injectable()
export class DriftCountsService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
  ) {}

  async counts(): Promise<DriftCounts> {
    const { open, oldest } = await driftGauges(this.db.client, this.clock.now());
    const none = Object.values(DriftKind).map((kind) => [kind, 0] as const);
    return {
      open: new Map<string, number>([...none, ...open.map(({ kind, count }) => [kind, count] as const)]),
      oldest,
    };
  }
}
