import { Args, Resolver, Subscription } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { Reader } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { EventQuery, FlagEvent, GrantEvent, RequestEvent } from './streams.contract.js';
import { StreamsService } from './streams.service.js';

/** What a stream gives is the event itself. */
const resolve = (event: unknown): unknown => event;

@Resolver()
export class StreamsResolver {
  constructor(private readonly streams: StreamsService) {}

  @Subscription(() => RequestEvent, { resolve })
  @Requires('viewRequests')
  requestEvents(@Caller() actor: Reader, @Args() query: EventQuery): Promise<AsyncIterator<RequestEvent>> {
    return this.streams.requestEvents(actor, query);
  }

  @Subscription(() => GrantEvent, { resolve })
  @Requires('viewGrants')
  grantEvents(@Caller() actor: Reader, @Args() query: EventQuery): Promise<AsyncIterator<GrantEvent>> {
    return this.streams.grantEvents(actor, query);
  }

  @Subscription(() => FlagEvent, { resolve })
  @Requires('viewConnections')
  flagEvents(@Caller() actor: Reader, @Args() query: EventQuery): Promise<AsyncIterator<FlagEvent>> {
    return this.streams.flagEvents(actor, query);
  }
}
