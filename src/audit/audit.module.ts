import { Global, Module } from '@nestjs/common';
import { RefusalRecord } from '../platform/http/problem.filter.js';
import { AuditService } from './audit.service.js';
import { AuditExportsService } from './exports.service.js';

/** The record. Global: whoever changes anything writes to it. */
@Global()
@Module({
  providers: [AuditService, AuditExportsService, { provide: RefusalRecord, useExisting: AuditService }],
  exports: [AuditService, AuditExportsService, RefusalRecord],
})
export class AuditModule {}
