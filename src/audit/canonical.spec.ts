import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonical, type JsonValue } from './canonical.js';

// RFC 8785, 3.2.2 and 3.2.3
test.each<[name: string, value: JsonValue, text: string]>([
  [
    'the example of the RFC',
    {
      numbers: [333333333.3333333, 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"/',
      literals: [null, true, false],
    },
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  ],
  [
    'members by UTF-16 code units',
    {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\ud83d\ude00': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    },
    '{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":"Latin Small Letter O With Diaeresis","€":"Euro Sign","😀":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
  ],
  ['minus zero', -0, '0'],
  ['nothing', {}, '{}'],
  ['lists in their order', [3, 1, [2]], '[3,1,[2]]'],
])('%s', (_, value, text) => expect(canonical(value)).toBe(text));

// RFC 8785, appendix B: IEEE 754 bits and what is written
test.each([
  ['0000000000000001', '5e-324'],
  ['7fefffffffffffff', '1.7976931348623157e+308'],
  ['4340000000000000', '9007199254740992'],
  ['4430000000000000', '295147905179352830000'],
  ['44b52d02c7e14af5', '9.999999999999997e+22'],
  ['44b52d02c7e14af6', '1e+23'],
  ['444b1ae4d6e2ef4e', '999999999999999700000'],
  ['444b1ae4d6e2ef50', '1e+21'],
  ['3eb0c6f7a0b5ed8d', '0.000001'],
  ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
  ['41b3de4355555557', '333333333.33333343'],
  ['becbf647612f3696', '-0.0000033333333333333333'],
  ['43143ff3c1cb0959', '1424953923781206.2'],
])('the number with the bits %s', (bits, text) => {
  expect(canonical(Buffer.from(bits, 'hex').readDoubleBE())).toBe(text);
});

test.each([
  ['no number', NaN],
  ['infinity', -Infinity],
  ['a lone surrogate', 'a\ud800'],
  ['a lone surrogate in a name', { '\udc00': 1 }],
])('%s is refused', (_, value) => expect(() => canonical(value)).toThrow(RangeError));

test('says what was there, and the same whatever the order', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonical(value as JsonValue);
      expect(canonical(JSON.parse(text) as JsonValue)).toBe(text);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.integer()), (given) => {
      const turned = Object.fromEntries(Object.entries(given).reverse());
      expect(canonical(turned)).toBe(canonical(given));
    }),
  );
});
