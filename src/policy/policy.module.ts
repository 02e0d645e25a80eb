import { Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { DecisionRecord } from './decision-record.js';
import { PolicyInForce } from './policy-in-force.js';
import { PolicyService } from './policy.service.js';

/** Needs what the platform gives to everybody. A configured policy that is not strictly valid stops the start. */
@Module({
  imports: [DiscoveryModule],
  providers: [
    PolicyInForce,
    DecisionRecord,
    {
      provide: PolicyService,
      inject: [PolicyInForce, Clock, SETTINGS, DecisionRecord],
      useFactory: (rules: PolicyInForce, clock: Clock, { timeZone }: Settings, record: DecisionRecord) =>
        new PolicyService(rules, clock, timeZone, record),
    },
  ],
  exports: [PolicyService, PolicyInForce],
})
export class PolicyModule {}
