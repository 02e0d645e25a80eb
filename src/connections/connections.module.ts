import { Module } from '@nestjs/common';
import { GrantsModule } from '../grants/grants.module.js';
import { PolicyModule } from '../policy/policy.module.js';
import { TargetsModule } from '../targets/targets.module.js';
import { ConnectionsController } from './connections.controller.js';
import { ConnectionsResolver } from './connections.resolver.js';
import { ConnectionsService } from './connections.service.js';
import { Observer } from './observer.service.js';
import { Sampler } from './sampler.js';
import { TokensService } from './tokens.service.js';

/** Using a grant, and seeing who connected. */
@Module({
  imports: [GrantsModule, PolicyModule, TargetsModule],
  controllers: [ConnectionsController],
  providers: [TokensService, ConnectionsService, Observer, Sampler, ConnectionsResolver],
  exports: [Sampler, Observer],
})
export class ConnectionsModule {}
