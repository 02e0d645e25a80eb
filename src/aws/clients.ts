import { fromNodeProviderChain } from '@aws-sdk/credential-providers';
import type { AwsConfig } from './config.js';

type Provider = ReturnType<typeof fromNodeProviderChain>;

/** What every AWS client of Usher is built with; structurally part of each SDK client's own config. */
export interface ClientSettings {
  readonly region: string;
  readonly credentials: Provider;
  readonly maxAttempts: number;
  readonly retryMode: 'adaptive';
  readonly requestHandler: {
    readonly connectionTimeout: number;
    readonly requestTimeout: number;
    readonly throwOnRequestTimeout: true;
  };
  readonly endpoint?: string;
}

const chains = new WeakMap<AwsConfig, Provider>();

/** Usher's own credentials. One memoised chain for all clients: each with its own would ask the metadata service again. */
export const ownCredentials = (config: AwsConfig): Provider => {
  const chain = chains.get(config) ?? fromNodeProviderChain();
  chains.set(config, chain);
  return chain;
};

/** One client per region, built at first use and kept: sockets, retry quota and adaptive rate live in it. */
export class RegionalClients<C> {
  readonly #clients = new Map<string, C>();

  constructor(
    private readonly config: AwsConfig,
    private readonly build: (settings: ClientSettings) => C,
  ) {}

  in(region: string): C {
    const known = this.#clients.get(region);
    if (known !== undefined) return known;
    const client = this.build(settings(this.config, region));
    this.#clients.set(region, client);
    return client;
  }

  forEach(visit: (client: C) => void): void {
    this.#clients.forEach(visit);
    this.#clients.clear();
  }
}

const settings = (config: AwsConfig, region: string): ClientSettings => {
  const timeout = config.timeoutMs ?? 10_000;
  return {
    region,
    credentials: ownCredentials(config),
    maxAttempts: config.maxAttempts ?? 5,
    retryMode: 'adaptive',
    requestHandler: {
      connectionTimeout: Math.ceil(timeout / 3),
      requestTimeout: timeout,
      throwOnRequestTimeout: true,
    },
    ...(config.endpointUrl === undefined ? {} : { endpoint: config.endpointUrl }),
  };
};
