import type { DiscoveredFacts, FoundEndpoint } from './discovery.js';
import { writable } from './target.js';

/** What is registered and what AWS says, one field. */
export interface Difference {
  readonly field: string;
  /** As it is registered; JSON for lists and tags. */
  readonly registered: string | null;
  /** As AWS says. */
  readonly discovered: string | null;
}

/** Of a registered target, what AWS knows too. */
export interface RegisteredFacts {
  readonly engineVersion: string;
  readonly engineMode: string;
  readonly caIdentifier: string;
  readonly masterUser: string | null;
  readonly tags: unknown;
  readonly endpoints: readonly { kind: string; connectHost: string; tokenHost: string; port: number }[];
}

/** Fields that a person has to give, or a tag of the database gives. */
export interface TagDefaults {
  name?: string;
  environment?: 'prod' | 'staging' | 'test' | 'dev';
  ownerGroup?: string;
  databases?: string[];
  guardDatabase?: string;
}

const environmentWords: Readonly<Record<string, TagDefaults['environment']>> = {
  prod: 'prod',
  production: 'prod',
  live: 'prod',
  staging: 'staging',
  stage: 'staging',
  preprod: 'staging',
  test: 'test',
  testing: 'test',
  qa: 'test',
  dev: 'dev',
  development: 'dev',
  sandbox: 'dev',
};

/**
 * What the tags of a database say of the fields that AWS does not know; docs/discovery.md has the table. Keys are compared
 * without case, and `usher:…` is looked at first. Values of tags cannot hold a comma, so lists are parted by spaces.
 */
export function defaultsFrom(facts: Pick<DiscoveredFacts, 'identifier' | 'databaseName' | 'tags'>): TagDefaults {
  const tags = new Map(Object.entries(facts.tags).map(([key, value]) => [key.toLowerCase(), value.trim()]));
  const first = (...keys: string[]): string | undefined => keys.map((key) => tags.get(key)).find((value) => value);
  const name = first('usher:name') ?? facts.identifier.toLowerCase();
  const environment = environmentWords[(first('usher:environment', 'environment', 'env', 'stage') ?? '').toLowerCase()];
  const ownerGroup = first('usher:owner-group', 'owner-group', 'team');
  const listed = first('usher:databases')?.split(/ +/);
  const databases = listed ?? (facts.databaseName === null ? undefined : [facts.databaseName]);
  const guardDatabase = first('usher:guard-database');
  return {
    name,
    ...(environment !== undefined && { environment }),
    ...(ownerGroup !== undefined && { ownerGroup }),
    ...(databases !== undefined && { databases }),
    ...(guardDatabase !== undefined && { guardDatabase }),
  };
}

/** Of PostgreSQL there is one mode that is another: Aurora Serverless v1. */
export const engineModeOf = ({ engineMode }: Pick<DiscoveredFacts, 'engineMode'>): 'serverless' | 'provisioned' =>
  engineMode === 'serverless' ? 'serverless' : 'provisioned';

const lineOf = ({ kind, connectHost, tokenHost, port }: RegisteredFacts['endpoints'][number]): string =>
  `${kind} ${connectHost}:${port}${tokenHost === connectHost ? '' : ` (signed as ${tokenHost})`}`;

const listed = (endpoints: RegisteredFacts['endpoints']): string => JSON.stringify(endpoints.map(lineOf).sort());

const tagText = (tags: unknown): string =>
  JSON.stringify(
    Object.fromEntries(Object.entries(tags as Record<string, string>).sort(([a], [b]) => (a < b ? -1 : 1))),
  );

/**
 * What an update of the target from AWS would change. A field that AWS leaves out stays as it is registered.
 */
export function differencesOf(registered: RegisteredFacts, facts: DiscoveredFacts): Difference[] {
  const rows: [string, string | null, string | null][] = [
    ['engineVersion', registered.engineVersion, facts.engineVersion || null],
    ['engineMode', registered.engineMode, facts.engineMode === null ? null : engineModeOf(facts)],
    ['caIdentifier', registered.caIdentifier, facts.caIdentifier],
    ['masterUser', registered.masterUser, facts.masterUser],
    ['tags', tagText(registered.tags), tagText(facts.tags)],
    ['endpoints', listed(registered.endpoints), listed(merged(registered.endpoints, facts.endpoints))],
  ];
  return rows
    .filter(([, before, after]) => after !== null && before !== after)
    .map(([field, before, after]) => ({ field, registered: before, discovered: after }));
}

type Place = RegisteredFacts['endpoints'][number];

const placeOf = ({ kind, connectHost, tokenHost, port }: Place): string =>
  JSON.stringify([kind, connectHost, tokenHost, port]);

/**
 * The endpoints as they would be. AWS knows an endpoint by the name that is signed for; an alias or a tunnel in front of it is
 * somebody's registration, and stays. Where AWS names no endpoint at which access can be ended, as for a while of a cluster that is
 * being changed, or of a proxy with nothing behind it, nothing is taken away.
 */
export function merged<E extends Place, F extends Place>(registered: readonly E[], found: readonly F[]): (E | F)[] {
  const own = (one: Place): string => JSON.stringify([one.kind, one.tokenHost, one.port]);
  const aliases = registered.filter(
    ({ kind, connectHost, tokenHost }) => kind !== 'custom' && connectHost !== tokenHost,
  );
  const aliased = new Map(aliases.map((one) => [own(one), one]));
  const next = found.map((one) => aliased.get(own(one)) ?? one);
  if (writable(next) !== undefined) return next;
  const names = new Set(next.map(placeOf));
  return [...registered.filter((one) => !names.has(placeOf(one))), ...next];
}

/** Endpoints to add and to take away; those that stay keep their id, and what was seen on them. */
export function endpointChanges<E extends RegisteredFacts['endpoints'][number]>(
  registered: readonly E[],
  found: readonly FoundEndpoint[],
): { gone: E[]; added: FoundEndpoint[] } {
  const next = merged(registered, found);
  const before = new Set(registered.map(placeOf));
  const after = new Set(next.map(placeOf));
  return {
    gone: registered.filter((one) => !after.has(placeOf(one))),
    added: found.filter((one) => after.has(placeOf(one)) && !before.has(placeOf(one))),
  };
}
