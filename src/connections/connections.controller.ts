import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor, Reader } from '../platform/actor.js';
import { NotReplayed } from '../platform/http/idempotency.interceptor.js';
import { Requires } from '../policy/requires.js';
import { ConnectionPage, ConnectionQuery } from './connections.contract.js';
import { ConnectionsService } from './connections.service.js';
import { IssuePassword, LoginPassword } from './passwords.contract.js';
import { PasswordsService } from './passwords.service.js';
import { SelfSigningService } from './self-signing.service.js';
import { LoginToken, MintToken, SelfSigning, SelfSigningQuery } from './tokens.contract.js';
import { TokensService } from './tokens.service.js';

@ApiTags('connections')
@ApiBearerAuth()
@Controller('v1')
export class ConnectionsController {
  constructor(
    private readonly tokens: TokensService,
    private readonly passwords: PasswordsService,
    private readonly selfSigning: SelfSigningService,
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

  /** How to connect with tokens of your own making, for your own live grant in attached mode */
  @Get('grants/:id/recipes')
  @Requires('mintToken')
  recipes(
    @Caller() actor: PersonActor,
    @Param('id') id: string,
    @Query() query: SelfSigningQuery,
  ): Promise<SelfSigning> {
    return this.selfSigning.recipes(actor, id, query);
  }

  /** A password for your own live grant of method password, in place of any earlier one */
  @Post('grants/:id/passwords')
  @HttpCode(201)
  @NotReplayed()
  @Requires('issuePassword')
  issue(@Caller() actor: PersonActor, @Param('id') id: string, @Body() input?: IssuePassword): Promise<LoginPassword> {
    return this.passwords.issue(actor, id, input ?? {});
  }

  /** Sessions seen on targets, newest first */
  @Get('connections')
  @Requires('viewConnections')
  list(@Caller() actor: Reader, @Query() query: ConnectionQuery): Promise<ConnectionPage> {
    return this.connections.list(actor, query);
  }
}
