import { Module } from '@nestjs/common';
import { GrantsModule } from '../grants/grants.module.js';
import { PolicyModule } from '../policy/policy.module.js';
import { TargetsModule } from '../targets/targets.module.js';
import { ConnectionsController } from './connections.controller.js';
import { ConnectionsResolver } from './connections.resolver.js';
import { ConnectionsService } from './connections.service.js';
import { DiagnosisLooks } from './diagnosis-looks.js';
import { DiagnosisController } from './diagnosis.controller.js';
import { DiagnosisResolver } from './diagnosis.resolver.js';
import { DiagnosisService } from './diagnosis.service.js';
import { Observer } from './observer.service.js';
import { PasswordsService } from './passwords.service.js';
import { Sampler } from './sampler.js';
import { SelfSigningService } from './self-signing.service.js';
import { TokensService } from './tokens.service.js';
import { TokenSigning } from './tokens.signing.js';

/** Using a grant, and seeing who connected. */
@Module({
  imports: [GrantsModule, PolicyModule, TargetsModule],
  controllers: [ConnectionsController, DiagnosisController],
  providers: [
    TokensService,
    TokenSigning,
    SelfSigningService,
    PasswordsService,
    ConnectionsService,
    Observer,
    Sampler,
    ConnectionsResolver,
    DiagnosisService,
    DiagnosisLooks,
    DiagnosisResolver,
  ],
  exports: [Sampler, Observer],
})
export class ConnectionsModule {}
