import { setTimeout as wait } from 'node:timers/promises';
import { ConnectionsStage, type Looks, type Size } from './connections-stage.ts';

/** Between two questions to the state: short beside an interval. */
const ASK_MS = 250;
/** A look begins an interval after the one before at the latest, and is over a moment later; a tenth of an interval and half a second are for that. */
const late = (intervalSeconds: number): number => intervalSeconds * 1.1 + 0.5;
/** For the first round, in which each target is entered, and each session written. */
const FIRST_SECONDS = 120;

/** Looks at all sessions of many targets, and says how old the oldest look ever was. */
export async function measureSampling(size: Size, seconds: number): Promise<void> {
  console.log(`${size.targets} targets with ${size.sessions} sessions each, every ${size.intervalSeconds} s`);
  const stage = await ConnectionsStage.open(size);
  try {
    const since = performance.now();
    const first = await untilAll(stage, size);
    console.log(
      `first    ${((performance.now() - since) / 1_000).toFixed(1)} s until all were entered and ${first.rows} sessions were kept`,
    );
    const entering = await agesUntil(stage, (oldest, passed) => oldest < passed);
    console.log(
      `then     the oldest of all ${worstOf(entering).toFixed(2)} s ago at the worst, until each was looked at again`,
    );
    const [before, began] = [await stage.processor(), performance.now()];
    const ages = await agesUntil(stage, (_, passed) => passed >= seconds);
    const looks = (size.targets * ((performance.now() - began) / 1_000)) / size.intervalSeconds;
    const each = (((await stage.processor()) - before) / looks) * 1_000;
    const floor = ((await stage.floor(size.targets)) / size.targets) * 1_000;
    const worst = worstOf(ages);
    const middle = ages.toSorted((a, b) => a - b)[Math.floor(ages.length / 2)] ?? NaN;
    console.log(
      `looks    the oldest of all ${middle.toFixed(2)} s ago in the middle, ${worst.toFixed(2)} s at the worst`,
    );
    console.log(
      `service  ${each.toFixed(2)} ms of processor a look, ${((each * size.targets) / size.intervalSeconds / 10).toFixed(0)} % of a core`,
    );
    console.log(`floor    ${floor.toFixed(2)} ms for the bare query and its answer`);
    console.log(`ratio    ${(each / floor).toFixed(1)}`);
    if (worst > late(size.intervalSeconds)) throw new Error('an endpoint was not looked at within an interval');
  } finally {
    await stage.close();
  }
}

async function untilAll(stage: ConnectionsStage, size: Size): Promise<Looks> {
  const deadline = performance.now() + FIRST_SECONDS * 1_000;
  for (;;) {
    const found = await stage.looks();
    if (found.seen === size.targets && found.rows >= size.targets * size.sessions) return found;
    if (performance.now() > deadline) throw new Error(`after ${FIRST_SECONDS} s: ${JSON.stringify(found)}`);
    await wait(ASK_MS);
  }
}

/**
 * How old the oldest look was, in seconds, at each of many questions.
 * @param enough by the last of them, and the seconds that passed since the first
 */
async function agesUntil(
  stage: ConnectionsStage,
  enough: (oldest: number, passed: number) => boolean,
): Promise<number[]> {
  const began = performance.now();
  const ages: number[] = [];
  for (;;) {
    const { oldest, gaps } = await stage.looks();
    if (gaps > 0) throw new Error(`${gaps} endpoints did not answer`);
    ages.push(oldest);
    if (enough(oldest, (performance.now() - began) / 1_000)) return ages;
    await wait(ASK_MS);
  }
}

const worstOf = (ages: readonly number[]): number => Math.max(...ages);
