import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { fromNodeProviderChain } from '@aws-sdk/credential-providers';
import { DomainError } from '../platform/errors.js';
import { Outbound } from '../platform/outbound.js';
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
    readonly httpAgent?: HttpAgent;
    readonly httpsAgent?: HttpsAgent;
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

/** As many as the SDK opens by itself. */
const MOST_SOCKETS = 50;

/**
 * The way to an address that an administrator gave: looked at again, for the register may be older than the settings.
 * @throws DomainError `aws_unavailable`
 */
function agentsTo(
  endpoint: string,
  networks: readonly string[] = [],
): { httpAgent: HttpAgent; httpsAgent: HttpsAgent } {
  const outbound = new Outbound(networks);
  const refusal = outbound.refusalOf(endpoint);
  if (refusal !== undefined)
    throw new DomainError(
      'unavailable',
      'aws_unavailable',
      `AWS is not asked at the address of this account: it ${refusal}.`,
      'An administrator mends it with PATCH /v1/accounts/{id}, or allows the network.',
    );
  const options = { keepAlive: true, maxSockets: MOST_SOCKETS, lookup: outbound.lookup };
  return { httpAgent: new HttpAgent(options), httpsAgent: new HttpsAgent(options) };
}

/**
 * @param given address of one service in one account, in place of the configured one for all
 * @throws DomainError `aws_unavailable` for one that may not be reached
 */
export const clientSettings = (
  config: AwsConfig,
  region: string,
  credentials: CredentialProvider,
  given?: string,
): ClientSettings => {
  const timeout = config.timeoutMs ?? 10_000;
  const endpoint = given ?? config.endpointUrl;
  return {
    region,
    credentials,
    maxAttempts: config.maxAttempts ?? 5,
    retryMode: 'adaptive',
    requestHandler: {
      connectionTimeout: Math.ceil(timeout / 3),
      requestTimeout: timeout,
      throwOnRequestTimeout: true,
      ...(given !== undefined && agentsTo(given, config.outboundNetworks)),
    },
    ...(endpoint === undefined ? {} : { endpoint }),
  };
};
