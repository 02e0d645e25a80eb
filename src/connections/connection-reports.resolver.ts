import { Args, Query, Resolver } from '@nestjs/graphql';
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

@Resolver()
export class ConnectionReportsResolver {
  constructor(private readonly reports: ConnectionReportsService) {}

  @Query(() => TlsReport)
  @Requires('viewConnections')
  tlsReport(@Caller() actor: Reader, @Args() query: TlsQuery): Promise<TlsReport> {
    return this.reports.tls(actor, query);
  }

  @Query(() => GrantUsePage)
  @Requires('viewConnections')
  grantUse(@Caller() actor: Reader, @Args() query: GrantUseQuery): Promise<GrantUsePage> {
    return this.reports.grantUse(actor, query);
  }

  @Query(() => ProfileUsePage)
  @Requires('viewConnections')
  profileUse(@Caller() actor: Reader, @Args() query: ProfileUseQuery): Promise<ProfileUsePage> {
    return this.reports.profileUse(actor, query);
  }
}
