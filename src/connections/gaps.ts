import type { ConnectionGap } from './connections.contract.js';
import { GapKind } from './log-reading.contract.js';

/** Nobody looked in time; otherwise a gap of looks has the code of the failure as its detail. */
export const BEHIND = 'behind';

/** The last look at an endpoint, as far as it tells of a gap. */
export interface Unwatched {
  targetId: string;
  endpointId: string;
  /** Since when it is to be looked at. */
  since: Date;
  lookedAt: Date | null;
  failure: string | null;
}

/** Gaps that go on: of endpoints whose last look is longer ago than a look may be late. */
export const goingOn = (looks: readonly Unwatched[], now: Date, lateMs: number): ConnectionGap[] =>
  looks.flatMap(({ targetId, endpointId, since, lookedAt, failure }) => {
    const from = lookedAt ?? since;
    if (now.getTime() - from.getTime() <= lateMs) return [];
    return [{ targetId, endpointId, kind: GapKind.sample_missed, from, to: null, detail: failure ?? BEHIND }];
  });

/** Whether a gap has anything of a period; null is without end. */
export const overlaps = (gap: Pick<ConnectionGap, 'from' | 'to'>, from: Date | null, to: Date | null): boolean =>
  (to === null || gap.from <= to) && (from === null || gap.to === null || gap.to >= from);

/** Newest first; those of one endpoint and kind that touch are one. */
export function joined(gaps: readonly ConnectionGap[]): ConnectionGap[] {
  const kept: ConnectionGap[] = [];
  const open = new Map<string, ConnectionGap>();
  for (const gap of [...gaps].sort((a, b) => a.from.getTime() - b.from.getTime())) {
    const key = `${gap.targetId} ${gap.endpointId ?? ''} ${gap.kind}`;
    const before = open.get(key);
    if (before && (before.to === null || before.to >= gap.from)) {
      before.to =
        before.to === null || gap.to === null ? null : new Date(Math.max(before.to.getTime(), gap.to.getTime()));
      continue;
    }
    const one = { ...gap };
    open.set(key, one);
    kept.push(one);
  }
  return kept.reverse();
}
