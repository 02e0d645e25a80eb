import { Inject, Injectable } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { Database } from '../platform/state/database.js';
import type { Visibility } from '../policy/visibility.js';
import type { ConnectionGap } from './connections.contract.js';
import { lastLooks, recordedGaps, type About } from './gaps.queries.js';
import { goingOn, joined, overlaps } from './gaps.js';
import { watchedKinds } from './looks.queries.js';
import { lateMs } from './pace.js';

/** An answer names so many at the most. */
const MOST = 200;

/** When nobody watched: what an answer does not show of these times may have been there all the same. */
@Injectable()
export class GapsService {
  private readonly lateMs: number;

  constructor(
    @Inject(SETTINGS) settings: Pick<Settings, 'sampleSeconds'>,
    private readonly db: Database,
    private readonly clock: Clock,
  ) {
    this.lateMs = lateMs(settings.sampleSeconds * 1_000);
  }

  /**
   * @param seen what the one who asks may see
   * @param period null is without end
   * @returns newest first
   */
  async within(seen: Visibility, period: About & { from: Date | null; to: Date | null }): Promise<ConnectionGap[]> {
    const [looks, recorded] = await Promise.all([
      lastLooks(this.db.client, seen, period, watchedKinds),
      recordedGaps(this.db.client, seen, period, MOST),
    ]);
    const open = goingOn(looks, this.clock.now(), this.lateMs).filter((gap) => overlaps(gap, period.from, period.to));
    return joined([...open, ...recorded]).slice(0, MOST);
  }
}
