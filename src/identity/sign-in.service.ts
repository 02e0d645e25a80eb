import { Injectable } from '@nestjs/common';
import type { SignIn, SignInProvider } from './sign-in.contract.js';
import { TokenVerifier } from './token-verifier.js';
import type { TrustedProvider } from './trusted-provider.js';

/** Tells those who have no token yet how to get one. */
@Injectable()
export class SignInService {
  constructor(private readonly verifier: TokenVerifier) {}

  /** Answers also while a provider is down; what is fetched for it is fetched once for all who ask. */
  async tell(): Promise<SignIn> {
    return { providers: await Promise.all(this.verifier.providers.map(present)) };
  }
}

async function present({ config, keys }: TrustedProvider): Promise<SignInProvider> {
  const endpoints = await keys.endpoints();
  return {
    issuer: config.issuer,
    audience: config.audience,
    clientId: config.cliClientId ?? null,
    scope: config.cliScope ?? 'openid',
    deviceAuthorizationEndpoint: endpoints?.deviceAuthorization ?? null,
    tokenEndpoint: endpoints?.token ?? null,
  };
}
