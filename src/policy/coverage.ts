import 'reflect-metadata';
import { METHOD_METADATA } from '@nestjs/common/constants.js';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { RESOLVER_PROPERTY_METADATA, RESOLVER_REFERENCE_METADATA, RESOLVER_TYPE_METADATA } from '@nestjs/graphql';
import { actionKinds, type Action } from './policy.contract.js';
import { PUBLIC, REQUIRES } from './requires.js';

/** One handler that a caller can reach, and what it says of itself. */
export interface CoveredHandler {
  readonly handler: string;
  readonly requires?: Action;
  readonly public?: string;
}

const routeKeys = [METHOD_METADATA];
const resolverKeys = [RESOLVER_TYPE_METADATA, RESOLVER_PROPERTY_METADATA, RESOLVER_REFERENCE_METADATA];

/** Anything that can look up providers: a Nest application, or a testing module. */
export interface ProviderSource {
  get(token: typeof DiscoveryService): DiscoveryService;
}

/**
 * Deny by default, at start: every route and every query, mutation, subscription and field resolver names its action
 * or says why it is public.
 * @returns the handlers found, sorted, so that a test can show that there were some
 * @throws Error naming each handler that does not, or that names an action policy does not know
 */
export function assertEveryRouteNamesItsAction(source: ProviderSource | DiscoveryService): CoveredHandler[] {
  const discovery = source instanceof DiscoveryService ? source : source.get(DiscoveryService);
  const covered: CoveredHandler[] = [];
  const problems: string[] = [];
  for (const [handler, method] of handlersOf(discovery)) {
    const requires: unknown = Reflect.getMetadata(REQUIRES, method);
    const why = Reflect.getMetadata(PUBLIC, method) as string | undefined;
    const problem = problemOf(requires, why);
    if (problem) problems.push(`  ${handler} ${problem}`);
    else covered.push(why === undefined ? { handler, requires: requires as Action } : { handler, public: why });
  }
  if (problems.length > 0) {
    throw new Error(`These handlers do not say what they require:\n${[...new Set(problems)].sort().join('\n')}`);
  }
  return covered.sort((a, b) => a.handler.localeCompare(b.handler));
}

function problemOf(requires: unknown, why: unknown): string | undefined {
  if (requires === undefined && why === undefined) return "has neither @Requires('action') nor @Public('why')";
  if (requires !== undefined && why !== undefined) return 'has both @Requires and @Public';
  if (why !== undefined) return typeof why === 'string' && why.trim() ? undefined : 'is @Public without a reason';
  return typeof requires === 'string' && Object.hasOwn(actionKinds, requires)
    ? undefined
    : `requires the unknown action "${String(requires)}"`;
}

/** Resolvers are looked for in every provider: the decorator on the class is not what makes a method reachable. */
function* handlersOf(discovery: DiscoveryService): Generator<[string, object]> {
  const scanner = new MetadataScanner();
  const wrappers = [
    ...discovery.getControllers().map((wrapper) => ({ wrapper, keys: routeKeys })),
    ...discovery.getProviders().map((wrapper) => ({ wrapper, keys: resolverKeys })),
  ];
  for (const { wrapper, keys } of wrappers) {
    const prototype = prototypeOf(wrapper);
    if (!prototype) continue;
    for (const name of scanner.getAllMethodNames(prototype)) {
      const method: unknown = (prototype as Record<string, unknown>)[name];
      if (typeof method !== 'function' || !keys.some((key) => Reflect.hasMetadata(key, method))) continue;
      yield [`${wrapper.name}.${name}`, method];
    }
  }
}

/** The instance's own class where there is one: a factory may have made a subclass. Request-scoped ones have no instance yet. */
function prototypeOf(wrapper: { instance: unknown; metatype: unknown }): object | undefined {
  const { instance, metatype } = wrapper;
  if (typeof instance === 'object' && instance !== null) return Object.getPrototypeOf(instance) as object | undefined;
  const prototype: unknown = typeof metatype === 'function' ? metatype.prototype : undefined;
  return typeof prototype === 'object' && prototype !== null ? prototype : undefined;
}
