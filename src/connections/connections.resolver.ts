import { Args, ID, Mutation, Query, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor, Reader } from '../platform/actor.js';
import { NotReplayed } from '../platform/http/idempotency.interceptor.js';
import { Requires } from '../policy/requires.js';
import { Connection, ConnectionPage, ConnectionQuery } from './connections.contract.js';
import { ConnectionsService } from './connections.service.js';
import { IssuePassword, LoginPassword } from './passwords.contract.js';
import { PasswordsService } from './passwords.service.js';
import { SelfSigningService } from './self-signing.service.js';
import { LoginToken, MintToken, SelfSigning, SelfSigningQuery } from './tokens.contract.js';
import { TokensService } from './tokens.service.js';

@Resolver(() => Connection)
export class ConnectionsResolver {
  constructor(
    private readonly tokens: TokensService,
    private readonly passwords: PasswordsService,
    private readonly signing: SelfSigningService,
    private readonly connections: ConnectionsService,
  ) {}

  @Mutation(() => LoginToken)
  @NotReplayed()
  @Requires('mintToken')
  mintToken(
    @Caller() actor: PersonActor,
    @Args('grantId', { type: () => ID }) grantId: string,
    @Args('input', { nullable: true }) input?: MintToken,
  ): Promise<LoginToken> {
    return this.tokens.mint(actor, grantId, input ?? {});
  }

  @Query(() => SelfSigning)
  @Requires('mintToken')
  selfSigning(
    @Caller() actor: PersonActor,
    @Args('grantId', { type: () => ID }) grantId: string,
    @Args('input', { nullable: true }) input?: SelfSigningQuery,
  ): Promise<SelfSigning> {
    return this.signing.recipes(actor, grantId, input ?? {});
  }

  @Mutation(() => LoginPassword)
  @NotReplayed()
  @Requires('issuePassword')
  issuePassword(
    @Caller() actor: PersonActor,
    @Args('grantId', { type: () => ID }) grantId: string,
    @Args('input', { nullable: true }) input?: IssuePassword,
  ): Promise<LoginPassword> {
    return this.passwords.issue(actor, grantId, input ?? {});
  }

  @Query(() => ConnectionPage, { name: 'connections' })
  @Requires('viewConnections')
  list(@Caller() actor: Reader, @Args() query: ConnectionQuery): Promise<ConnectionPage> {
    return this.connections.list(actor, query);
  }
}
