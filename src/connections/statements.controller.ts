import { Controller, Get, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { Reader } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { StatementPage, StatementQuery } from './statements.contract.js';
import { StatementsService } from './statements.service.js';

@ApiTags('connections')
@ApiBearerAuth()
@Controller('v1/statements')
export class StatementsController {
  constructor(private readonly statements: StatementsService) {}

  /** What was run in sessions, by pgaudit in the logs of the servers, newest first: of a connection, a person, a grant or a target */
  @Get()
  @Requires('viewConnections')
  list(@Caller() actor: Reader, @Query() query: StatementQuery): Promise<StatementPage> {
    return this.statements.list(actor, query);
  }
}
