import { Module } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { IdentityService } from './identity.service.js';
import { SignInService } from './sign-in.service.js';
import { TokenVerifier } from './token-verifier.js';

/** Who calls: OIDC access tokens, and one row a person for ever. */
@Module({
  providers: [
    {
      provide: TokenVerifier,
      inject: [SETTINGS, Clock],
      useFactory: (settings: Settings, clock: Clock) =>
        new TokenVerifier([settings.oidc, ...settings.furtherProviders], clock),
    },
    IdentityService,
    SignInService,
  ],
  exports: [IdentityService, SignInService],
})
export class IdentityModule {}
