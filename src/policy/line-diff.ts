/** Above so many pairs of lines nothing is compared: what differs is told as replaced in whole. */
const MAX_PAIRS = 1_000_000;
/** Unchanged lines shown around a change. */
const CONTEXT = 3;

interface Line {
  readonly mark: ' ' | '-' | '+';
  readonly text: string;
}

/**
 * How one text became another, line by line, in the unified format of POSIX `diff -u` without its two heading lines.
 * @returns an empty text when nothing differs
 */
export function lineDiff(before: string, after: string): string {
  const lines = compare(before.split('\n'), after.split('\n'));
  return hunksOf(lines).join('\n');
}

function compare(a: readonly string[], b: readonly string[]): Line[] {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  const same = (lines: readonly string[]): Line[] => lines.map((text) => ({ mark: ' ', text }));
  return [
    ...same(a.slice(0, start)),
    ...changed(a.slice(start, a.length - end), b.slice(start, b.length - end)),
    ...same(a.slice(a.length - end)),
  ];
}

/** By the longest common subsequence of lines. */
function changed(a: readonly string[], b: readonly string[]): Line[] {
  const gone = a.map((text): Line => ({ mark: '-', text }));
  const come = b.map((text): Line => ({ mark: '+', text }));
  if (a.length * b.length > MAX_PAIRS) return [...gone, ...come];
  const common = lengths(a, b);
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) lines.push({ mark: ' ', text: a[i] ?? '' });
    const keepsGone = (common[i + 1]?.[j] ?? 0) >= (common[i]?.[j + 1] ?? 0);
    if (a[i] === b[j]) [i, j] = [i + 1, j + 1];
    else if (keepsGone) lines.push({ mark: '-', text: a[i++] ?? '' });
    else lines.push({ mark: '+', text: b[j++] ?? '' });
  }
  return [...lines, ...gone.slice(i), ...come.slice(j)];
}

/** `[i][j]`: how many lines `a` from `i` and `b` from `j` have in common. */
function lengths(a: readonly string[], b: readonly string[]): Uint32Array[] {
  const table = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    const [row, below] = [table[i], table[i + 1]];
    if (!row || !below) continue;
    for (let j = b.length - 1; j >= 0; j -= 1)
      row[j] = a[i] === b[j] ? (below[j + 1] ?? 0) + 1 : Math.max(below[j] ?? 0, row[j + 1] ?? 0);
  }
  return table;
}

function hunksOf(lines: readonly Line[]): string[] {
  const near = lines.map((_, index) =>
    lines.slice(Math.max(0, index - CONTEXT), index + CONTEXT + 1).some(({ mark }) => mark !== ' '),
  );
  const told: string[] = [];
  let [oldLine, newLine] = [1, 1];
  for (let index = 0; index < lines.length; index += 1) {
    if (near[index] && !near[index - 1]) {
      const after = near.indexOf(false, index);
      const hunk = lines.slice(index, after === -1 ? lines.length : after);
      const [was, is] = [hunk.filter(({ mark }) => mark !== '+'), hunk.filter(({ mark }) => mark !== '-')];
      told.push(`@@ -${rangeOf(oldLine, was.length)} +${rangeOf(newLine, is.length)} @@`);
      told.push(...hunk.map(({ mark, text }) => `${mark}${text}`));
    }
    if (lines[index]?.mark !== '+') oldLine += 1;
    if (lines[index]?.mark !== '-') newLine += 1;
  }
  return told;
}

/** Where nothing is, the line before it is named. */
const rangeOf = (line: number, count: number): string => `${count === 0 ? line - 1 : line},${count}`;
