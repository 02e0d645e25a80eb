import fc, { type Arbitrary } from 'fast-check';
import { getIntrospectionQuery } from 'graphql';
import type { Client } from '../support/usher.ts';
import { callers, type Shot } from './rest.ts';
import { hostile, hostileText, idOf, shaped, spoilt, type World } from './values.ts';

interface TypeRef {
  kind: string;
  name: string | null;
  ofType: TypeRef | null;
}
interface Argument {
  name: string;
  type: TypeRef;
}
interface TypeOf {
  name: string;
  kind: string;
  fields: { name: string; args: Argument[]; type: TypeRef }[] | null;
  inputFields: Argument[] | null;
  enumValues: { name: string }[] | null;
}

/** The schema as the service itself tells it. */
export async function readTypes(client: Client): Promise<Map<string, TypeOf>> {
  const { data } = await client.graphql<{ __schema: { types: TypeOf[] } }>(getIntrospectionQuery());
  return new Map((data?.__schema.types ?? []).map((type) => [type.name, type]));
}

const printed = (type: TypeRef): string =>
  type.kind === 'NON_NULL'
    ? `${printed(type.ofType as TypeRef)}!`
    : type.kind === 'LIST'
      ? `[${printed(type.ofType as TypeRef)}]`
      : (type.name ?? '');
const named = (type: TypeRef): string => type.name ?? (type.ofType ? named(type.ofType) : '');

function valueOf(
  types: Map<string, TypeOf>,
  world: World,
  type: TypeRef,
  name: string,
  noun: string,
): Arbitrary<unknown> {
  if (type.kind === 'NON_NULL') return valueOf(types, world, type.ofType as TypeRef, name, noun);
  if (type.kind === 'LIST')
    return fc.array(valueOf(types, world, type.ofType as TypeRef, name, noun), { maxLength: 3 });
  const texts = world.texts[name];
  if (texts && type.kind !== 'INPUT_OBJECT') return fc.constantFrom(...texts);
  if (name === 'id' || name.endsWith('Id')) return idOf(name === 'id' ? noun : name.slice(0, -2), world);
  const known = types.get(named(type));
  if (known?.enumValues) return fc.constantFrom(...known.enumValues.map((one) => one.name));
  if (known?.inputFields) {
    const fields = known.inputFields.map((field) => [field.name, valueOf(types, world, field.type, field.name, noun)]);
    const required = known.inputFields.filter((field) => field.type.kind === 'NON_NULL').map((field) => field.name);
    return fc.record(Object.fromEntries(fields) as Record<string, Arbitrary<unknown>>, { requiredKeys: required });
  }
  const schemas: Record<string, object> = {
    Boolean: { type: 'boolean' },
    Int: { type: 'integer', minimum: 1, maximum: 200 },
    Float: { type: 'number' },
    DateTime: { type: 'string', format: 'date-time' },
  };
  return shaped(schemas[named(type)] ?? { type: 'string' }, world, {}, name);
}

/** Every field that needs nothing, two levels deep. */
function selection(types: Map<string, TypeOf>, type: TypeRef, depth = 2): string {
  const fields = types.get(named(type))?.fields;
  if (!fields) return '';
  const parts = fields
    .filter((field) => field.args.length === 0)
    .map((field) => {
      const inner = selection(types, field.type, depth - 1);
      const plain = !types.get(named(field.type))?.fields;
      return plain ? field.name : depth > 0 && inner !== '' ? `${field.name} ${inner}` : '';
    });
  return `{ __typename ${parts.join(' ')} }`;
}

/** Operations of the schema with good and with spoilt variables, documents that are none, and envelopes of every kind. */
export function graphqlShots(types: Map<string, TypeOf>, world: World): Arbitrary<Shot> {
  const operations = (['Query', 'Mutation'] as const).flatMap((root) =>
    (types.get(root)?.fields ?? []).map((field) => {
      const noun = field.name
        .replace(
          /^(?:create|update|delete|approve|deny|cancel|revoke|shorten|extend|check|lock|unlock|remove|restore|diagnose)/,
          '',
        )
        .replace(/s$/, '');
      const values = field.args.map((one) => {
        const good = valueOf(types, world, one.type, one.name, noun.charAt(0).toLowerCase() + noun.slice(1));
        const any = fc.oneof(
          { weight: 6, arbitrary: good },
          { weight: 2, arbitrary: spoilt(good) },
          { weight: 1, arbitrary: hostile },
        );
        return [one.name, any] as const;
      });
      const declared = field.args.map((one) => `$${one.name}: ${printed(one.type)}`).join(', ');
      const passed = field.args.map((one) => `${one.name}: $${one.name}`).join(', ');
      const head = `${root.toLowerCase()}${declared === '' ? '' : `(${declared})`}`;
      const query = `${head} { ${field.name}${passed === '' ? '' : `(${passed})`} ${selection(types, field.type)} }`;
      return fc.record(Object.fromEntries(values)).map((variables) => ({ query, variables }));
    }),
  );
  const envelope = fc.oneof(
    { weight: 20, arbitrary: fc.oneof(...operations) },
    { weight: 5, arbitrary: hostileDocument.map((query) => ({ query })) },
    { weight: 2, arbitrary: spoilt(fc.oneof(...operations)) },
    { weight: 1, arbitrary: hostile },
  );
  const who = fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom('alice', 'bob', 'carol', 'dave', 'stranger') },
    { weight: 1, arbitrary: fc.constantFrom(...callers) },
  );
  return fc.tuple(who, envelope).map(([caller, body]) => ({
    ...{ who: caller, method: 'POST', path: '/graphql', headers: { 'content-type': 'application/json' } },
    body: JSON.stringify(body) ?? '',
  }));
}

const many = (n: number, part: (index: number) => string): string =>
  Array.from({ length: n }, (_, index) => part(index)).join(' ');

/** Wide, deep, circular, repeated, broken. */
const hostileDocument: Arbitrary<string> = fc.oneof(
  hostileText,
  fc
    .tuple(hostileText, fc.constantFrom('grant', 'target', 'request', 'person'))
    .map(([text, field]) => `{ ${field}(id: ${JSON.stringify(text)}) { id } }`),
  fc.integer({ min: 1, max: 2_000 }).chain((n) =>
    fc.constantFrom(
      `{ ${many(n, (i) => `a${i}: __typename`)} }`,
      `{ __typename ${'@include(if: true) '.repeat(n)} }`,
      `{ ${'targets { items { '.repeat(n)} id ${'} } '.repeat(n)} }`,
      `{ ...A } fragment A on Query { ...B } fragment B on Query { ${many(n, () => '...A')} }`,
      many(n, (i) => `query q${i} { __typename }`),
      `query(${many(n, (i) => `$v${i}: Int`)}) { __typename }`,
      `{ target(id: ${'['.repeat(n)}${']'.repeat(n)}) { id } }`,
      `{ ${'#'.repeat(n)}\n__typename }`,
      `{ __schema { types { ${'fields { type { '.repeat(Math.min(n, 30))} name ${'} } '.repeat(Math.min(n, 30))} } } }`,
      `{ ${'x'.repeat(n)} }`,
      `subscription { ${many(n, () => '__typename')} }`,
      `mutation { ${many(n, (i) => `a${i}: revokeGrant(id: "x") { id }`)} }`,
    ),
  ),
);
