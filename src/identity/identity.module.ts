import { Module } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { AccountsService } from './accounts.service.js';
import { IdentityService } from './identity.service.js';
import { ServiceKeysService } from './service-keys.service.js';
import { ServiceTokensService } from './service-tokens.service.js';
import { SignInService } from './sign-in.service.js';
import { TokenVerifier } from './token-verifier.js';

/** Who calls: OIDC access tokens and one row a person for ever; the keys of services, and their tokens. */
@Module({
  providers: [
    {
      provide: TokenVerifier,
      inject: [SETTINGS, Clock],
      useFactory: (settings: Settings, clock: Clock) =>
        new TokenVerifier([settings.oidc, ...settings.furtherProviders], clock),
    },
    IdentityService,
    AccountsService,
    SignInService,
    ServiceKeysService,
    ServiceTokensService,
  ],
  exports: [IdentityService, AccountsService, SignInService, ServiceKeysService, ServiceTokensService],
})
export class IdentityModule {}
