import { Global, Module } from '@nestjs/common';
import { RefusalRecord } from '../platform/http/problem.filter.js';
import { AuditService } from './audit.service.js';
import { AuditExportsService } from './exports.service.js';
import { AuditFeed } from './feed.service.js';
import { MonthJobs } from './months.job.js';
import { MonthsService } from './months.service.js';
import { Notary } from './notary.js';
import { RecordKey } from './record-key.js';
import { Sealer } from './sealer.js';
import { SealsService } from './seals.service.js';
import { SigningRounds } from './signing-rounds.js';

/** The record. Global: whoever changes anything writes to it. */
@Global()
@Module({
  providers: [
    ...[AuditService, AuditExportsService, AuditFeed, MonthJobs, MonthsService, SealsService],
    ...[RecordKey, Sealer, Notary, SigningRounds],
    { provide: RefusalRecord, useExisting: AuditService },
  ],
  exports: [AuditService, AuditExportsService, AuditFeed, MonthsService, RefusalRecord, SealsService],
})
export class AuditModule {}
