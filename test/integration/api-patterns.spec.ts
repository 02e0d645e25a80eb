import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

const source = join(import.meta.dirname, '../../src');

interface Pattern {
  where: string;
  regex: RegExp;
}

/** Every regular expression that is written down in `src`. */
function patterns(): Pattern[] {
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && !name.endsWith('.spec.ts') && !name.startsWith('generated'),
  );
  return files.flatMap((name) => {
    const file = ts.createSourceFile(name, readFileSync(join(source, name), 'utf8'), ts.ScriptTarget.Latest);
    const found: Pattern[] = [];
    const visit = (node: ts.Node): void => {
      if (ts.isRegularExpressionLiteral(node)) found.push({ where: name, regex: regexOf(node.text) });
      ts.forEachChild(node, visit);
    };
    visit(file);
    return found;
  });
}

function regexOf(text: string): RegExp {
  const end = text.lastIndexOf('/');
  return new RegExp(text.slice(1, end), text.slice(end + 1).replace(/[gy]/g, ''));
}

/** As long as the longest text of a body, nearly; what takes the square of it is too slow as well. */
const LENGTH = 50_000;
const parts = [
  'a',
  'A',
  '0',
  '_',
  '-',
  '.',
  '/',
  ' ',
  '\n',
  '\t',
  '"',
  '\\',
  ':',
  '@',
  '%',
  '+',
  '=',
  '{',
  '!',
  'a-',
  'a.',
  'a/',
  '0.',
  '\r\n',
  '" ',
  '! ',
];
/** What makes a match fail at the very end, after everything before it has matched. */
const ends = ['\0', '!', '"', ''];

/** Long texts that begin as the pattern wants them, and then go on with what it may repeat. */
function hostileTo(regex: RegExp): string[] {
  const samples = sampled(regex);
  const letters = [
    ...new Set([...parts, ...samples.flatMap((text) => [...text.slice(0, 30), text.slice(0, 30)])]),
  ].filter(Boolean);
  const starts = ['', ...samples];
  return starts.flatMap((start) =>
    letters.flatMap((part) => ends.map((end) => start + part.repeat(Math.ceil(LENGTH / part.length)) + end)),
  );
}

function sampled(regex: RegExp): string[] {
  // all that is not in a range is a million letters, which the generator writes down one by one
  if (regex.source.includes('[^\\x')) return [];
  try {
    return fc.sample(fc.stringMatching(regex), { seed: 1, numRuns: 3 });
  } catch {
    return []; // with what the generator has no word for
  }
}

describe('no pattern runs away', () => {
  const all = patterns();
  test('all of them are found', () => expect(all.length).toBeGreaterThan(80));

  test.each(all.map(({ where, regex }) => [where, String(regex), regex] as const))('%s %s', (_where, _text, regex) => {
    for (const text of hostileTo(regex)) {
      const since = performance.now();
      regex.test(text);
      const took = performance.now() - since;
      // linear takes less than a millisecond; the bound is for a busy machine
      expect(took, `${JSON.stringify(text.slice(0, 40))}… of ${text.length}`).toBeLessThan(1_000);
    }
  });
});
