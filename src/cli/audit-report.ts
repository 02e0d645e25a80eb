import type { BadEntry, Verdict } from '../audit/verification.js';
import { shown } from './command.js';

/** What came of a verification, for people. @param kept how many checkpoints the auditor brought */
export function verdictText({ bad, proved, redacted, dropped, checkpoint }: Verdict, kept: number): string {
  const advice =
    'Bring a checkpoint that you kept (--checkpoint): who holds the signing key could have written all of it anew.';
  return [
    ...(bad ? [badText(bad)] : []),
    `${bad ? 'proved before that' : 'whole'}: ${proved} entries are what was sealed, ${redacted} of those read were redacted in part`,
    ...(dropped > 0
      ? [`dropped: ${dropped} of them went with their months, as older than the retention; only their leaves are left`]
      : []),
    ...(checkpoint
      ? [`checkpoint: ${shown(checkpoint.origin)}, ${checkpoint.size} entries, root ${checkpoint.root.toString('hex')}`]
      : []),
    ...(kept === 0 ? [advice] : []),
  ].join('\n');
}

const badText = ({ seq, upTo, why }: BadEntry): string =>
  seq === upTo
    ? `BAD: entry ${seq} is ${shown(why)}`
    : `BAD: entry ${seq} is the first that cannot be trusted; entries ${seq} to ${upTo} are ${shown(why)}`;
