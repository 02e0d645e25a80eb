import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor } from '../platform/actor.js';
import { NotReplayed } from '../platform/http/idempotency.interceptor.js';
import { Requires } from '../policy/requires.js';
import { ConnectionPage, ConnectionQuery } from './connections.contract.js';
import { ConnectionsService } from './connections.service.js';
import { LoginToken, MintToken } from './tokens.contract.js';
import { TokensService } from './tokens.service.js';

@ApiTags('connections')
@ApiBearerAuth()
@Controller('v1')
export class ConnectionsController {
  constructor(
    private readonly tokens: TokensService,
    private readonly connections: ConnectionsService,
  ) {}

  /** A login token for your own live grant, with TLS advice and recipes */
  @Post('grants/:id/tokens')
  @HttpCode(201)
  @NotReplayed()
  @Requires('mintToken')
  mint(@Caller() actor: PersonActor, @Param('id') id: string, @Body() input?: MintToken): Promise<LoginToken> {
    return this.tokens.mint(actor, id, input ?? {});
  }

  /** Sessions seen on targets, newest first */
  @Get('connections')
  @Requires('viewConnections')
  list(@Caller() actor: PersonActor, @Query() query: ConnectionQuery): Promise<ConnectionPage> {
    return this.connections.list(actor, query);
  }
}
