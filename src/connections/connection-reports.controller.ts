import { Controller, Get, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { Reader } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import {
  GrantUsePage,
  GrantUseQuery,
  ProfileUsePage,
  ProfileUseQuery,
  TlsQuery,
  TlsReport,
} from './connection-reports.contract.js';
import { ConnectionReportsService } from './connection-reports.service.js';

@ApiTags('connections')
@ApiBearerAuth()
@Controller('v1/connections')
export class ConnectionReportsController {
  constructor(private readonly reports: ConnectionReportsService) {}

  /** Who connects without TLS or below TLS 1.2, and who would be shut out by rds.force_ssl or another certificate authority */
  @Get('tls')
  @Requires('viewConnections')
  tls(@Caller() actor: Reader, @Query() query: TlsQuery): Promise<TlsReport> {
    return this.reports.tls(actor, query);
  }

  /** When somebody was last seen by each grant, newest grants first */
  @Get('grant-use')
  @Requires('viewConnections')
  grantUse(@Caller() actor: Reader, @Query() query: GrantUseQuery): Promise<GrantUsePage> {
    return this.reports.grantUse(actor, query);
  }

  /** When each profile was last given and used */
  @Get('profile-use')
  @Requires('viewConnections')
  profileUse(@Caller() actor: Reader, @Query() query: ProfileUseQuery): Promise<ProfileUsePage> {
    return this.reports.profileUse(actor, query);
  }
}
