import { Global, Module } from '@nestjs/common';
import { RefusalRecord } from '../platform/http/problem.filter.js';
import { AuditService } from './audit.service.js';
import { Sealer } from './sealer.js';
import { SealsService } from './seals.service.js';

/** The record. Global: whoever changes anything writes to it. */
@Global()
@Module({
  providers: [AuditService, { provide: RefusalRecord, useExisting: AuditService }, Sealer, SealsService],
  exports: [AuditService, RefusalRecord, SealsService],
})
export class AuditModule {}
