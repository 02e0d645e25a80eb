import { getIntrospectionQuery } from 'graphql';
import { describe, expect, test } from 'vitest';
import { refuseCrowded } from './graphql-scan.js';

describe('a document', () => {
  test.each<[string, string]>([
    ['of GraphiQL', getIntrospectionQuery({ inputValueDeprecation: true, schemaDescription: true })],
    ['that is none', '}}}}{{{{ "'],
    ['with brackets in a text', `{ a(b: "${'{'.repeat(1_000)}") }`],
    ['with brackets in a comment', `# ${'{'.repeat(1_000)}\n{ a }`],
    ['with brackets in a block', `{ a(b: """${'['.repeat(1_000)}""") }`],
    ['that is empty', ''],
    ['that cannot be read', '{ a \0'],
  ])('%s passes', (_, document) => expect(() => refuseCrowded(document)).not.toThrow());

  test.each<[string, string, RegExp]>([
    ['selections in selections', '{ a '.repeat(10_000), /64 deep/],
    ['lists in lists', `{ a(b: ${'['.repeat(65)}) }`, /64 deep/],
    ['objects in objects', `{ a(b: ${'{c:'.repeat(65)}) }`, /64 deep/],
    ['aliases', `{ ${'a:b '.repeat(3_000)} }`, /2000 words/],
    ['brackets of JSON', '[['.repeat(9) + ']]'.repeat(9), /is JSON/],
    ['parts that were parsed already', JSON.stringify({ kind: 'Document', definitions: [] }), /is JSON/],
    ['digits', '7', /is JSON/],
    ['directives', `{ a ${'@include(if: true) '.repeat(101)} }`, /100 directives/],
  ])('of too many %s is refused', (_, document, message) =>
    expect(() => refuseCrowded(document)).toThrow(
      expect.objectContaining({ code: 'invalid_input', message: expect.stringMatching(message) }),
    ),
  );

  test('of any size is looked over in no time', () => {
    const since = performance.now();
    for (const part of ['{', '"', '"""', '#', '\ufeff', 'a ', '@a', '\\u'])
      try {
        refuseCrowded(part.repeat(32 * 1024));
      } catch {
        continue;
      }
    expect(performance.now() - since).toBeLessThan(2_000);
  });
});
