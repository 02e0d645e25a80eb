import { Args, ID, Mutation, Query, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { Actor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { DiscoveredDatabasesService } from './discovered-databases.service.js';
import {
  DiscoveredDatabase,
  DiscoveredDatabasePage,
  DiscoveredQuery,
  DiscoveryRun,
  RegisterDatabase,
  StartDiscovery,
} from './discovery.contract.js';
import { DiscoveryService } from './discovery.service.js';
import { Target } from './targets.contract.js';

@Resolver(() => DiscoveredDatabase)
export class DiscoveryResolver {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly databases: DiscoveredDatabasesService,
  ) {}

  @Mutation(() => DiscoveryRun)
  @Requires('discoverDatabases')
  startDiscovery(@Caller() actor: Actor, @Args('input') input: StartDiscovery): Promise<DiscoveryRun> {
    return this.discovery.start(actor, input);
  }

  @Query(() => DiscoveryRun, { name: 'discovery' })
  @Requires('discoverDatabases')
  run(@Caller() actor: Actor, @Args('id', { type: () => ID }) id: string): Promise<DiscoveryRun> {
    return this.discovery.get(actor, id);
  }

  @Query(() => DiscoveredDatabasePage, { name: 'discoveredDatabases' })
  @Requires('discoverDatabases')
  list(@Caller() actor: Actor, @Args() query: DiscoveredQuery): Promise<DiscoveredDatabasePage> {
    return this.databases.list(actor, query);
  }

  @Query(() => DiscoveredDatabase, { name: 'discoveredDatabase' })
  @Requires('discoverDatabases')
  get(@Caller() actor: Actor, @Args('id', { type: () => ID }) id: string): Promise<DiscoveredDatabase> {
    return this.databases.get(actor, id);
  }

  @Mutation(() => Target)
  @Requires('administerTargets')
  registerDatabase(
    @Caller() actor: Actor,
    @Args('id', { type: () => ID }) id: string,
    @Args('input') input: RegisterDatabase,
  ): Promise<Target> {
    return this.databases.register(actor, id, input);
  }

  @Mutation(() => Target)
  @Requires('administerTargets')
  applyDiscovered(@Caller() actor: Actor, @Args('id', { type: () => ID }) id: string): Promise<Target> {
    return this.databases.apply(actor, id);
  }
}
