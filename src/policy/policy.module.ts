import { Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { PolicyEngine } from './engine.js';
import { PolicyService } from './policy.service.js';

/** Needs `SETTINGS` and `Clock` from a global module. A policy that is not strictly valid stops the start. */
@Module({
  imports: [DiscoveryModule],
  providers: [
    {
      provide: PolicyService,
      inject: [SETTINGS, Clock],
      useFactory: (settings: Settings, clock: Clock) =>
        new PolicyService(PolicyEngine.load(settings.policyFile), clock),
    },
  ],
  exports: [PolicyService],
})
export class PolicyModule {}
