import { Controller, Get, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { Reader } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { FailedLoginPage, FailedLoginQuery } from './login-failures.contract.js';
import { LoginFailuresService } from './login-failures.service.js';

@ApiTags('connections')
@ApiBearerAuth()
@Controller('v1/connections/failures')
export class LoginFailuresController {
  constructor(private readonly failures: LoginFailuresService) {}

  /** Logins that failed, by the logs of the servers, newest first, each with its likeliest cause */
  @Get()
  @Requires('viewConnections')
  list(@Caller() actor: Reader, @Query() query: FailedLoginQuery): Promise<FailedLoginPage> {
    return this.failures.list(actor, query);
  }
}
