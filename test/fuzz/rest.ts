import fc, { type Arbitrary } from 'fast-check';
import { hostile, hostileText, idOf, shaped, spoilt, type Schema, type World } from './values.ts';

/** One HTTP call as it goes over the wire. */
export interface Shot {
  who: string;
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: string | Buffer;
}

interface Parameter {
  in: string;
  name: string;
  schema?: Schema;
}
interface Operation {
  parameters?: Parameter[];
  requestBody?: { content: Record<string, { schema: Schema }> };
}
export interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

/** What is in the body of a call, as bytes: mostly of the right form, sometimes no JSON at all. */
function bodyOf(schema: Schema | undefined, world: World, models: Record<string, Schema>): Arbitrary<string | Buffer> {
  const good = schema ? shaped(schema, world, models) : fc.constant({});
  const text = (value: unknown): string => JSON.stringify(value) ?? 'undefined';
  const polluted = good.map((value) => text(value).replace('{', '{"__proto__":{"locked":false},'));
  const twice = good.map((value) => text(value).replace(/^\{(.+)\}$/s, '{$1,$1}'));
  return fc.oneof(
    { weight: 8, arbitrary: good.map(text) },
    { weight: 8, arbitrary: spoilt(good).map(text) },
    { weight: 2, arbitrary: hostile.map(text) },
    { weight: 1, arbitrary: polluted },
    { weight: 1, arbitrary: twice },
    { weight: 1, arbitrary: good.map((value) => text(value).slice(0, -1)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)) },
    { weight: 1, arbitrary: fc.integer({ min: 1_000, max: 40_000 }).map((n) => '['.repeat(n)) },
    { weight: 1, arbitrary: fc.integer({ min: 60_000, max: 70_000 }).map((n) => `{"reason":"${'x'.repeat(n)}"}`) },
  );
}

/** Node refuses to send what HTTP has no place for; that is tried past it, in `raw.ts`. */
const headerText: Arbitrary<string> = hostileText.map((text) =>
  text.replace(/[^\x20-\x7e\x80-\xff]/g, '?').slice(0, 2_000),
);

const rareHeaders: Arbitrary<Record<string, string>> = fc
  .dictionary(
    fc.constantFrom(
      ...[
        'idempotency-key',
        'x-http-method-override',
        'x-method-override',
        'x-forwarded-for',
        'x-forwarded-host',
        'forwarded',
      ],
      ...[
        'accept',
        'accept-encoding',
        'accept-language',
        'content-encoding',
        'range',
        'if-none-match',
        'cookie',
        'origin',
      ],
      ...['x-correlation-id', 'x-request-id', 'traceparent', 'x-original-url', 'x-rewrite-url', 'expect', 'te', 'via'],
    ),
    fc.oneof(fc.constantFrom('DELETE', '127.0.0.1', 'gzip', 'bytes=0-'), headerText),
    { maxKeys: 3 },
  )
  .map(({ expect: wish, ...rest }) => (wish === undefined ? rest : { ...rest, expect: '200-ok' }));

const contentType: Arbitrary<string> = fc.oneof(
  { weight: 12, arbitrary: fc.constant('application/json') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/xml', ''],
      ...['application/json; charset=utf-16', 'application/JSON;;', 'application/merge-patch+json', '*/*', 'json'],
    ),
  },
);

export const callers = ['alice', 'bob', 'carol', 'dave', 'stranger', 'nobody', 'forger'] as const;

/** Calls of every documented route by everybody, and of routes that are none. */
export function restShots(document: Document, world: World): Arbitrary<Shot> {
  const models = document.components.schemas;
  const routes = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => shotsOf(path, method, operation, world, models)),
  );
  return fc.oneof({ weight: 30, arbitrary: fc.oneof(...routes) }, { weight: 1, arbitrary: nowhere });
}

function shotsOf(
  path: string,
  method: string,
  { parameters = [], requestBody }: Operation,
  world: World,
  models: Record<string, Schema>,
): Arbitrary<Shot> {
  const schema = Object.values(requestBody?.content ?? {})[0]?.schema;
  const named = parameters
    .filter((one) => one.in === 'path')
    .map((one) => [one.name, segment(path, one.name, world)] as const);
  const asked = parameters
    .filter((one) => one.in === 'query')
    .map((one) => [one.name, queryOf(one, world, models)] as const);
  return fc
    .record({
      who: fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom('alice', 'bob', 'carol', 'dave', 'stranger') },
        { weight: 1, arbitrary: fc.constantFrom(...callers) },
      ),
      segments: fc.record(Object.fromEntries(named)),
      query: fc.record(Object.fromEntries(asked), { requiredKeys: [] }),
      more: fc.oneof(
        { weight: 8, arbitrary: fc.constant('') },
        { weight: 1, arbitrary: hostileText.map((text) => `${encode(text)}=${encode(text)}`) },
      ),
      verb: fc.oneof(
        { weight: 20, arbitrary: fc.constant(method.toUpperCase()) },
        { weight: 1, arbitrary: fc.constantFrom('PUT', 'HEAD', 'OPTIONS', 'DELETE', 'PATCH', 'TRACE', 'PROPFIND') },
      ),
      headers: fc.oneof({ weight: 4, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: rareHeaders }),
      type: contentType,
      body:
        method === 'get'
          ? fc.constant(undefined)
          : fc.oneof(
              { weight: 12, arbitrary: bodyOf(schema, world, models) },
              { weight: 1, arbitrary: fc.constant(undefined) },
            ),
    })
    .map(({ who, segments, query, more, verb, headers, type, body }) => {
      const filled = path.replace(/{(\w+)}/g, (_, name: string) => (segments as Record<string, string>)[name] ?? '');
      const pairs = Object.entries(query).flatMap(([name, value]) =>
        value === undefined ? [] : [`${name}=${encode(typeof value === 'string' ? value : JSON.stringify(value))}`],
      );
      const search = [...pairs, ...(more === '' ? [] : [more])].join('&');
      return {
        ...{ who, method: verb, path: `${filled}${search === '' ? '' : `?${search}`}` },
        headers: { ...headers, ...(body !== undefined && type !== '' && { 'content-type': type }) },
        ...(body !== undefined && { body }),
      };
    });
}

/** What stands for an id in a path: `/v1/grants/{id}` names a grant. */
function segment(path: string, name: string, world: World): Arbitrary<string> {
  const noun =
    name === 'profileId' ? 'profile' : (/(\w[\w-]*?)s\/{id}/.exec(path)?.[1] ?? name).replace('people', 'person');
  const known = world.texts[name];
  const good = known && name !== 'id' ? fc.constantFrom(...known.map(String)) : idOf(noun, world);
  return fc.oneof({ weight: 9, arbitrary: good }, { weight: 1, arbitrary: hostileText.map(encode) });
}

const queryOf = ({ name, schema = {} }: Parameter, world: World, models: Record<string, Schema>): Arbitrary<unknown> =>
  fc.oneof({ weight: 3, arbitrary: shaped(schema, world, models, name) }, { weight: 1, arbitrary: hostileText });

/** Lone surrogates have no form in a URL. */
const encode = (text: string): string => encodeURIComponent(text.toWellFormed()).slice(0, 3_000);

/** Paths that lead nowhere, and perhaps to somewhere they should not. */
const nowhere: Arbitrary<Shot> = fc
  .tuple(
    fc.constantFrom(...callers),
    fc.constantFrom('GET', 'POST', 'DELETE', 'OPTIONS'),
    fc.oneof(
      fc.constantFrom(
        ...[
          '/..',
          '/../../etc/passwd',
          '//etc/passwd',
          '/docs/../../package.json',
          '/docs/%2e%2e/%2e%2e/package.json',
          '/%',
          '/%zz',
        ],
        ...[
          '/graphiql/../server.js',
          '/graphiql/%2e%2e%2f',
          '/v1/../metrics',
          '/v1//targets',
          '/v1/targets/',
          '/.env',
          '/v1/targets;a=b',
        ],
        ...[
          '/openapi.json/..',
          '/graphql?query={__typename}',
          '/graphql',
          '*',
          `/${'a'.repeat(4_000)}`,
          '/v1/targets%00',
          '/V1/TARGETS',
        ],
      ),
      hostileText.map((text) => `/${encode(text)}`),
      hostileText.map((text) => `/v1/${encode(text)}/${encode(text)}`),
    ),
  )
  .map(([who, method, path]) => ({ who, method, path, headers: {} }));
