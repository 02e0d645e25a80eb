import { Module } from '@nestjs/common';
import { AuditModule } from '../audit/audit.module.js';
import { GrantsModule } from '../grants/grants.module.js';
import { IdentityModule } from '../identity/identity.module.js';
import { NotificationsModule } from '../notifications/notifications.module.js';
import { HttpModule } from '../platform/http/http.module.js';
import { PolicyModule } from '../policy/policy.module.js';
import { HealthController } from './health.controller.js';
import { HealthService } from './health.service.js';
import { MonthMetrics } from './month-metrics.js';
import { SealMetrics } from './seal-metrics.js';
import { SocketMetrics } from './socket-metrics.js';

@Module({
  imports: [AuditModule, GrantsModule, HttpModule, IdentityModule, NotificationsModule, PolicyModule],
  controllers: [HealthController],
  providers: [HealthService, MonthMetrics, SealMetrics, SocketMetrics],
})
export class HealthModule {}
