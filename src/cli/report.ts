import type { Proof } from '../postgres/postgres.contract.js';
import { shown } from './command.js';

const words = { ok: 'ok', warn: 'warn', missing: 'MISSING' } as const;

/** One line a right; below it, what to run. */
export function proofText(proofs: readonly Proof[]): string {
  const width = Math.max(...proofs.map(({ right }) => right.length));
  const lines = proofs.flatMap(({ right, verdict, finding, remedy }) => [
    `${words[verdict].padEnd(7)}  ${shown(right).padEnd(width)}  ${shown(finding)}`,
    ...(remedy === null ? [] : [`${' '.repeat(9)}${shown(remedy)}`]),
  ]);
  const n = (verdict: Proof['verdict']): number => proofs.filter((proof) => proof.verdict === verdict).length;
  return [...lines, '', `${n('ok')} ok, ${n('warn')} to look at, ${n('missing')} missing`].join('\n');
}

export const complete = (proofs: readonly Proof[]): boolean => proofs.every(({ verdict }) => verdict !== 'missing');
