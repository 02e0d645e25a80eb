import { fromNodeProviderChain } from '@aws-sdk/credential-providers';
import type { AwsConfig } from './config.js';

/** Where a client's keys come from. `forceRefresh` asks for new ones although the known ones still live. */
export type CredentialProvider = ReturnType<typeof fromNodeProviderChain>;

/** What every AWS client of Usher is built with; structurally part of each SDK client's own config. */
export interface ClientSettings {
  readonly region: string;
  readonly credentials: CredentialProvider;
  readonly maxAttempts: number;
  readonly retryMode: 'adaptive';
  readonly requestHandler: {
    readonly connectionTimeout: number;
    readonly requestTimeout: number;
    readonly throwOnRequestTimeout: true;
  };
  readonly endpoint?: string;
}

const chains = new WeakMap<AwsConfig, CredentialProvider>();

/** Usher's own credentials. One memoised chain for all clients: each with its own would ask the metadata service again. */
export const ownCredentials = (config: AwsConfig): CredentialProvider => {
  const chain = chains.get(config) ?? fromNodeProviderChain();
  chains.set(config, chain);
  return chain;
};

/** @param endpoint address of one service in one account, in place of the configured one for all */
export const clientSettings = (
  config: AwsConfig,
  region: string,
  credentials: CredentialProvider,
  endpoint = config.endpointUrl,
): ClientSettings => {
  const timeout = config.timeoutMs ?? 10_000;
  return {
    region,
    credentials,
    maxAttempts: config.maxAttempts ?? 5,
    retryMode: 'adaptive',
    requestHandler: {
      connectionTimeout: Math.ceil(timeout / 3),
      requestTimeout: timeout,
      throwOnRequestTimeout: true,
    },
    ...(endpoint === undefined ? {} : { endpoint }),
  };
};
