import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lineDiff } from './line-diff.js';

/** Applies a unified diff as `patch` would. */
function patched(before: string, diff: string): string {
  const old = before.split('\n');
  const made: string[] = [];
  let at = 0;
  for (const line of diff === '' ? [] : diff.split('\n')) {
    const head = /^@@ -(\d+),(\d+) \+\d+,\d+ @@$/.exec(line);
    if (head) {
      const start = Number(head[2]) === 0 ? Number(head[1]) : Number(head[1]) - 1;
      made.push(...old.slice(at, start));
      at = start;
    } else if (line.startsWith('+')) made.push(line.slice(1));
    else {
      expect(line.slice(1)).toBe(old[at]);
      if (line.startsWith(' ')) made.push(line.slice(1));
      at += 1;
    }
  }
  return [...made, ...old.slice(at)].join('\n');
}

describe('lineDiff', () => {
  test('tells what came and went, with three lines around it', () => {
    const before = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].join('\n');
    const after = ['a', 'b', 'c', 'd', 'E', 'f', 'g', 'h', 'i'].join('\n');
    expect(lineDiff(before, after).split('\n')).toEqual([
      '@@ -2,7 +2,8 @@',
      ...[' b', ' c', ' d', '-e', '+E', ' f', ' g', ' h', '+i'],
    ]);
  });

  test('says nothing where nothing differs', () => expect(lineDiff('a\nb', 'a\nb')).toBe(''));

  test('changes far apart stand in hunks of their own', () => {
    const lines = Array.from({ length: 40 }, (_, index) => `${index}`);
    const diff = lineDiff(lines.join('\n'), lines.with(3, 'x').with(30, 'y').join('\n'));
    expect(diff.match(/^@@ .*/gm)).toEqual(['@@ -1,7 +1,7 @@', '@@ -28,7 +28,7 @@']);
  });

  const text = fc
    .array(fc.constantFrom('a', 'b', 'c', '', '@@', '+', '-'), { maxLength: 40 })
    .map((all) => all.join('\n'));
  test('makes the one text of the other', () => {
    fc.assert(fc.property(text, text, (before, after) => patched(before, lineDiff(before, after)) === after));
  });

  test('texts without anything in common are told in whole, and at once', () => {
    const [before, after] = ['a', 'b'].map((letter) =>
      Array.from({ length: 20_000 }, (_, i) => `${letter}${i}`).join('\n'),
    );
    expect(patched(before ?? '', lineDiff(before ?? '', after ?? ''))).toBe(after);
  });
});
