import { Module } from '@nestjs/common';
import { GrantsModule } from '../grants/grants.module.js';
import { IdentityModule } from '../identity/identity.module.js';
import { NotificationsModule } from '../notifications/notifications.module.js';
import { PolicyModule } from '../policy/policy.module.js';
import { HealthController } from './health.controller.js';
import { HealthService } from './health.service.js';

@Module({
  imports: [GrantsModule, IdentityModule, NotificationsModule, PolicyModule],
  controllers: [HealthController],
  providers: [HealthService],
})
export class HealthModule {}
