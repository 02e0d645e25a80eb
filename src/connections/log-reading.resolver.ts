import { Args, ID, Query, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { Actor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { ServerLog } from './log-reading.contract.js';
import { LogReadingService } from './log-reading.service.js';

@Resolver(() => ServerLog)
export class LogReadingResolver {
  constructor(private readonly reading: LogReadingService) {}

  @Query(() => ServerLog, { name: 'serverLog' })
  @Requires('viewReadiness')
  get(@Caller() actor: Actor, @Args('targetId', { type: () => ID }) targetId: string): Promise<ServerLog> {
    return this.reading.get(actor, targetId);
  }
}
