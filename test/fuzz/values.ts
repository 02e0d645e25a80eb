import fc, { type Arbitrary } from 'fast-check';

/** The part of JSON Schema that the document of the API uses. */
export interface Schema {
  type?: string;
  enum?: readonly unknown[];
  format?: string;
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: readonly string[];
  allOf?: readonly Schema[];
  $ref?: string;
}

/** What is there to be named: ids of rows that exist, by the word in front of `Id` (`grant`, `target`, …), and texts by the name of their field. */
export interface World {
  ids: Readonly<Record<string, readonly string[]>>;
  texts: Readonly<Record<string, readonly unknown[]>>;
}

const NOWHERE = ['0190163d-8694-739b-aea5-966c26f8ad91', '00000000-0000-7000-8000-000000000000'];

/** Texts that have broken something somewhere: terminals, SQL, formats, paths, numbers, prototypes, templates. */
const hostileTexts: readonly string[] = [
  ...[
    '',
    ' ',
    '\0',
    'a\0b',
    '\r\nX-Injected: 1',
    '\n{"level":60}',
    '\u001b[31m',
    '\u202e',
    '\u2028',
    '\ufeff',
    '\ud800',
  ],
  ...["' OR 1=1 --", '"; DROP TABLE person; --', "\\'", '$1', '%s%s%n', '%00', '${7*7}', '{{7*7}}', '$$'],
  ...['../../../../etc/passwd', '..%2f..%2fetc%2fpasswd', 'file:///etc/passwd', 'C:\\', '/dev/null', '.'],
  ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'then', 'toJSON'],
  ...['NaN', 'Infinity', '-0', '1e309', '0x10', '9'.repeat(400), '-1', 'null', 'undefined', 'true'],
  ...[
    'http://169.254.169.254/latest/meta-data/',
    'javascript:alert(1)',
    '<script>alert(1)</script>',
    'a'.repeat(5_000),
  ],
  ...['\u{1f418}'.repeat(50), 'é'.normalize('NFD'), 'İ', '٣', '１２', 'ﬀ'.repeat(64), 'Z̸̡͎'.repeat(100)],
  ...[
    '9999-12-31T23:59:59Z',
    '+275760-09-13T00:00:00.000Z',
    '-000001-01-01T00:00:00Z',
    '2026-02-30T00:00:00Z',
    '24:00',
  ],
];

const nested = (depth: number, list: boolean): unknown =>
  Array.from({ length: depth }).reduce<unknown>((inner) => (list ? [inner] : { a: inner }), 1);

/** Anything at all, of any type. Numbers that JSON has no word for stand as its reader would take them. */
export const hostile: Arbitrary<unknown> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...hostileTexts) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 80 }) },
  { weight: 3, arbitrary: fc.constantFrom(null, true, false, 0, -0, -1, 1.5, 2 ** 31, 2 ** 53, 1e300, -1e300, 5e-324) },
  { weight: 1, arbitrary: fc.constantFrom([], {}, [[]], [null], { length: 1e9 }, { $ne: null }, { toString: 1 }) },
  { weight: 1, arbitrary: fc.tuple(fc.integer({ min: 1, max: 60 }), fc.boolean()).map(([n, list]) => nested(n, list)) },
  { weight: 1, arbitrary: fc.nat({ max: 3_000 }).map((n) => Array.from({ length: n }, () => 'x')) },
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
);

export const hostileText: Arbitrary<string> = fc.oneof(
  fc.constantFrom(...hostileTexts),
  fc.string({ unit: 'binary', maxLength: 120 }),
);

/** An id of what the name says, of something else, or of nothing. */
export function idOf(noun: string, { ids }: World): Arbitrary<string> {
  const own = ids[noun] ?? [];
  return fc.oneof(
    ...(own.length > 0 ? [{ weight: 6, arbitrary: fc.constantFrom(...own) }] : []),
    { weight: 2, arbitrary: fc.constantFrom(...Object.values(ids).flat(), ...NOWHERE) },
    { weight: 1, arbitrary: fc.uuid({ version: 7 }) },
  );
}

/** Of the form that the schema asks for, so that it comes past the form and into the service. */
export function shaped(schema: Schema, world: World, models: Record<string, Schema>, name = ''): Arbitrary<unknown> {
  const { $ref, allOf } = schema;
  const model = $ref === undefined ? allOf?.[0] : models[$ref.split('/').at(-1) ?? ''];
  if (model) return shaped(model, world, models, name);
  const texts = world.texts[name];
  if (texts) return fc.constantFrom(...texts);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  switch (schema.type) {
    case 'object':
      return objectOf(schema, world, models);
    case 'array':
      return fc.array(shaped(schema.items ?? {}, world, models, name), { maxLength: 3 });
    case 'boolean':
      return fc.boolean();
    case 'number':
    case 'integer':
      return fc.integer({ min: schema.minimum ?? 0, max: schema.maximum ?? 1_000 });
    default:
      return textOf(schema, world, name);
  }
}

function textOf(schema: Schema, world: World, name: string): Arbitrary<unknown> {
  if (schema.format === 'uuid') return idOf(name.replace(/Id$/, ''), world);
  if (schema.format === 'date-time')
    return fc
      .integer({ min: -60, max: 50_000 })
      .map((minutes) => new Date(Date.now() + minutes * 60_000).toISOString());
  if (schema.pattern !== undefined && !schema.pattern.includes('(?!'))
    return fc.stringMatching(new RegExp(schema.pattern));
  const length = { minLength: schema.minLength ?? 1, maxLength: Math.min(schema.maxLength ?? 40, 200) };
  return fc.string({ unit: 'grapheme-ascii', ...length });
}

function objectOf(schema: Schema, world: World, models: Record<string, Schema>): Arbitrary<object> {
  const fields = Object.entries(schema.properties ?? {}).map(([key, inner]) => [
    key,
    shaped(inner, world, models, key),
  ]);
  const required = [...(schema.required ?? [])];
  return fc.record(Object.fromEntries(fields) as Record<string, Arbitrary<unknown>>, { requiredKeys: required });
}

/** A good object with something bad in it: a field that is hostile, one that is missing, one too many. */
export function spoilt(good: Arbitrary<unknown>): Arbitrary<unknown> {
  const key = fc.oneof(fc.constantFrom('state', 'id', 'approved', 'personId', 'locked', ''), hostileText);
  return fc
    .tuple(good, fc.nat(), hostile, key, fc.constantFrom('replace', 'remove', 'add'))
    .map(([object, nth, value, more, how]) => {
      if (typeof object !== 'object' || object === null || Array.isArray(object)) return value;
      const entries = Object.entries(object);
      const at = entries.length === 0 ? 0 : nth % entries.length;
      if (how === 'remove') return Object.fromEntries(entries.toSpliced(at, 1));
      const field: [string, unknown] = how === 'add' ? [more, value] : [entries[at]?.[0] ?? more, value];
      return Object.fromEntries([...entries, field]);
    });
}
