import { Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import { Clock } from '../platform/clock.js';
import { Database } from '../platform/state/database.js';
import type { GapKind } from './log-reading.contract.js';

/** Times in which nothing could be seen: said, so that a record without a line in it is not taken for one without a connection. */
@Injectable()
export class ObservationGaps {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
  ) {}

  /** A gap begins; one of its kind that lasts already stays as it is. */
  async begin(targetId: string, kind: `${GapKind}`, from: Date, detail: string): Promise<void> {
    const data = { id: v7(), targetId, kind, from, detail };
    await this.db.client.observationGap.createMany({ data: [data], skipDuplicates: true });
  }

  /** @param recovered what was missed meanwhile was seen after all */
  async end(targetId: string, kind: `${GapKind}`, recovered: boolean): Promise<void> {
    const to = this.clock.now();
    await this.db.client.observationGap.updateMany({
      where: { targetId, kind, to: null },
      data: { to, ...(recovered && { recoveredAt: to }) },
    });
  }

  /** A gap that is over when it is found, and stays. */
  async note(
    { targetId, endpointId }: { targetId: string; endpointId: string | null },
    kind: `${GapKind}`,
    from: Date,
    detail: string,
  ): Promise<void> {
    const to = this.clock.now();
    const data = { id: v7(), targetId, endpointId, kind, from: from < to ? from : to, to, detail };
    await this.db.client.observationGap.create({ data });
  }
}
