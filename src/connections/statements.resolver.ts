import { Args, Query, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { Reader } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { StatementPage, StatementQuery } from './statements.contract.js';
import { StatementsService } from './statements.service.js';

@Resolver()
export class StatementsResolver {
  constructor(private readonly service: StatementsService) {}

  @Query(() => StatementPage)
  @Requires('viewConnections')
  statements(@Caller() actor: Reader, @Args() query: StatementQuery): Promise<StatementPage> {
    return this.service.list(actor, query);
  }
}
