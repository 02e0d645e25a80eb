import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { repeatsName } from './repeated-names.js';

describe('a name twice in one object', () => {
  test.each([
    '{"sub":"a","sub":"b"}',
    '{"sub":"a","sub":"a"}',
    '{"sub" : 1 ,\n"iss":2,"\\u0073ub":3}',
    '{"a":{"b":1,"c":[{}],"b":2}}',
    '[{"a":1},{"b":1,"b":2}]',
    '{"":1,"":2}',
    '{"__proto__":1,"__proto__":2}',
    '{"a":"{\\"a\\":1}","a":2}',
  ])('%s', (json) => expect(repeatsName(json)).toBe(true));

  test.each([
    '{}',
    '[]',
    '"sub"',
    '{"sub":"sub","Sub":"sub"}',
    '{"a":{"a":{"a":1}}}',
    '[{"a":1},{"a":1}]',
    '{"a":["b","b","b"],"b":"b"}',
    '{"a":"\\",\\"a\\":1","b":"\\\\"}',
    '{"a":"}","b":"{","c":"a"}',
  ])('not in %s', (json) => expect(repeatsName(json)).toBe(false));

  test('never in what JSON.stringify wrote, always once a name is put in again', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), fc.nat(), (object, at) => {
        const json = JSON.stringify(object);
        const names = Object.keys(object);
        const again = JSON.stringify(names[at % names.length]);
        expect(repeatsName(json)).toBe(false);
        expect(repeatsName(`${json.slice(0, -1)},${again}:null}`)).toBe(true);
      }),
    );
  });
});
