import { awsItems } from './readiness-aws.js';
import { type ReadinessFacts, type ReadinessItem, unknown, type Verdict } from './readiness-item.js';
import { serverItems } from './readiness-server.js';

const verdicts = { ok: 'pass', warn: 'warn', missing: 'fail' } as const;

/** All items of a target, in the order in which they are best mended: AWS, the server, the guard in it. */
export function readinessOf(facts: ReadinessFacts): ReadinessItem[] {
  const { proofs } = facts;
  return [
    ...awsItems(facts),
    ...serverItems(facts),
    ...('why' in proofs
      ? [unknown('broker rights', proofs.why)]
      : proofs.value.map(({ right, verdict, finding, remedy }): ReadinessItem => ({
          item: `broker: ${right}`,
          verdict: verdicts[verdict],
          finding,
          remedy,
        }))),
  ];
}

/** Of many items the gravest; what could not be looked at is no failure, and no pass. */
export function overall(items: readonly ReadinessItem[]): Verdict {
  const order: readonly Verdict[] = ['fail', 'unknown', 'warn'];
  return order.find((verdict) => items.some((item) => item.verdict === verdict)) ?? 'pass';
}
