import { Args, Query, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { Reader } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { FailedLoginPage, FailedLoginQuery } from './login-failures.contract.js';
import { LoginFailuresService } from './login-failures.service.js';

@Resolver()
export class LoginFailuresResolver {
  constructor(private readonly failures: LoginFailuresService) {}

  @Query(() => FailedLoginPage)
  @Requires('viewConnections')
  failedLogins(@Caller() actor: Reader, @Args() query: FailedLoginQuery): Promise<FailedLoginPage> {
    return this.failures.list(actor, query);
  }
}
