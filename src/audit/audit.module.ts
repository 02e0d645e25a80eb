import { Global, Module } from '@nestjs/common';
import { RefusalRecord } from '../platform/http/problem.filter.js';
import { AuditService } from './audit.service.js';
import { AuditFeed } from './feed.service.js';

/** The record. Global: whoever changes anything writes to it. */
@Global()
@Module({
  providers: [AuditService, AuditFeed, { provide: RefusalRecord, useExisting: AuditService }],
  exports: [AuditService, AuditFeed, RefusalRecord],
})
export class AuditModule {}
