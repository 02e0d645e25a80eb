import { Module } from '@nestjs/common';
import { GrantsModule } from '../grants/grants.module.js';
import { PolicyModule } from '../policy/policy.module.js';
import { TargetsModule } from '../targets/targets.module.js';
import { ConnectionLedger } from './connection-ledger.js';
import { ConnectionReportsController } from './connection-reports.controller.js';
import { ConnectionReportsResolver } from './connection-reports.resolver.js';
import { ConnectionReportsService } from './connection-reports.service.js';
import { ConnectionsController } from './connections.controller.js';
import { ConnectionsResolver } from './connections.resolver.js';
import { ConnectionsService } from './connections.service.js';
import { DiagnosisLooks } from './diagnosis-looks.js';
import { DiagnosisController } from './diagnosis.controller.js';
import { DiagnosisResolver } from './diagnosis.resolver.js';
import { DiagnosisService } from './diagnosis.service.js';
import { GapsService } from './gaps.service.js';
import { LogExpiryJobs } from './log-expiry.job.js';
import { LogExpiry } from './log-expiry.service.js';
import { LogFiles } from './log-files.js';
import { ObservationGaps } from './log-gaps.js';
import { LogReaderJobs } from './log-reader.job.js';
import { LogReader } from './log-reader.service.js';
import { LogReadingController } from './log-reading.controller.js';
import { LogReadingResolver } from './log-reading.resolver.js';
import { LogReadingService } from './log-reading.service.js';
import { LogSources } from './log-sources.service.js';
import { LogStore } from './log-store.js';
import { LogTies } from './log-ties.service.js';
import { LoginFailuresController } from './login-failures.controller.js';
import { LoginFailuresResolver } from './login-failures.resolver.js';
import { LoginFailuresService } from './login-failures.service.js';
import { LookOut } from './look-out.js';
import { Observer } from './observer.service.js';
import { PasswordsService } from './passwords.service.js';
import { Sampler } from './sampler.js';
import { SelfSigningService } from './self-signing.service.js';
import { SightingRecord } from './sighting-record.js';
import { StatementsController } from './statements.controller.js';
import { StatementsResolver } from './statements.resolver.js';
import { StatementsService } from './statements.service.js';
import { TokensService } from './tokens.service.js';
import { TokenSigning } from './tokens.signing.js';

/** Using a grant, and seeing who connected. */
@Module({
  imports: [GrantsModule, PolicyModule, TargetsModule],
  controllers: [
    ConnectionReportsController,
    ConnectionsController,
    DiagnosisController,
    LogReadingController,
    LoginFailuresController,
    StatementsController,
  ],
  providers: [
    TokensService,
    TokenSigning,
    SelfSigningService,
    PasswordsService,
    ConnectionsService,
    ConnectionReportsService,
    ConnectionReportsResolver,
    GapsService,
    LoginFailuresService,
    LoginFailuresResolver,
    StatementsService,
    StatementsResolver,
    LogTies,
    ConnectionLedger,
    LookOut,
    Observer,
    SightingRecord,
    Sampler,
    LogSources,
    LogFiles,
    LogStore,
    ObservationGaps,
    LogReader,
    LogReaderJobs,
    LogExpiry,
    LogExpiryJobs,
    LogReadingService,
    LogReadingResolver,
    ConnectionsResolver,
    DiagnosisService,
    DiagnosisLooks,
    DiagnosisResolver,
  ],
  exports: [ConnectionsService, Sampler, Observer, ObservationGaps, LogReader, LogReaderJobs, LogExpiryJobs],
})
export class ConnectionsModule {}
