import { Module } from '@nestjs/common';
import { PolicyModule } from '../policy/policy.module.js';
import { HealthController } from './health.controller.js';
import { HealthService } from './health.service.js';

@Module({ imports: [PolicyModule], controllers: [HealthController], providers: [HealthService] })
export class HealthModule {}
