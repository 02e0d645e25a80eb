import type { BadEntry, Verdict } from '../audit/verification.js';
import { shown } from './command.js';

/** What a verification was held against, and how far it went. */
export interface Extent {
  /** How many checkpoints the auditor brought. */
  readonly kept: number;
  /** Sealed entries of the database behind the last that was proved; null: an export was read. */
  readonly beyond: number | null;
}

/** What came of a verification, for people. */
export function verdictText({ bad, proved, redacted, dropped, checkpoint }: Verdict, { kept, beyond }: Extent): string {
  const advice =
    'Bring a checkpoint that you kept (--checkpoint): who holds the signing key could have written all of it anew.';
  return [
    ...(bad ? [badText(bad)] : []),
    `${bad ? 'proved before that' : 'whole'}: ${proved} entries are what was sealed, ${redacted} of those read were redacted in part`,
    ...(dropped > 0
      ? [`dropped: ${dropped} of them went with their months, as older than the retention; only their leaves are left`]
      : []),
    ...(!bad && beyond !== null && beyond > 0
      ? [
          `beyond that: ${beyond} sealed entries that are not proved; those of the last hour may only wait for a signature`,
        ]
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
