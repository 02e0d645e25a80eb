import { STSClient } from '@aws-sdk/client-sts';
import { assumeRole, type AssumedRole } from './assume-role.js';
import type { ClientSettings, CredentialProvider } from './clients.js';

export interface BrokerRole {
  readonly roleArn: string;
  readonly externalId: string | null;
  /** Of the STS that is asked, with Usher's own credentials. */
  readonly sts: ClientSettings;
}

/** What CloudTrail of the account shows as the session. */
const SESSION = 'usher';
/** Longer than role chaining allows is refused, and Usher's own credentials mostly are a role's (AWS STS AssumeRole). */
const SECONDS = 3_600;
/** Renewed this long before the end: a login token lives for 15 minutes, and SDK clients ask again 5 minutes before. */
const RENEW_MS = 15 * 60_000;

/**
 * Keys of a broker role, kept for all clients of the account and renewed before their end; many who ask at once wait for
 * one call. A renewal that fails is no fault while the known keys live.
 */
export const brokerCredentials = (role: BrokerRole, now: () => Date): CredentialProvider => {
  let known: Known | undefined;
  let asking: Promise<Known> | undefined;
  const left = (): number => (known?.until ?? 0) - now().getTime();
  return async (options) => {
    if (known === undefined || left() < RENEW_MS || options?.forceRefresh === true) {
      asking ??= assume(role, now().getTime() + SECONDS * 1_000).finally(() => (asking = undefined));
      try {
        known = await asking;
      } catch (error) {
        if (known === undefined || left() <= 0) throw error;
      }
    }
    const { accessKeyId, secretAccessKey, sessionToken = '' } = known.credentials;
    // as the clock says that the SDK looks at
    return { accessKeyId, secretAccessKey, sessionToken, expiration: new Date(Date.now() + left()) };
  };
};

interface Known extends AssumedRole {
  /** By Usher's own clock, from when they were asked for: AWS' date would be wrong where this host's clock is. */
  readonly until: number;
}

/** Once in three quarters of an hour: a client of its own for each, so that none keeps sockets in between. */
const assume = async ({ roleArn, externalId, sts }: BrokerRole, until: number): Promise<Known> => {
  const client = new STSClient(sts);
  try {
    const assumed = await assumeRole(client, {
      RoleArn: roleArn,
      RoleSessionName: SESSION,
      DurationSeconds: SECONDS,
      ...(externalId === null ? {} : { ExternalId: externalId }),
    });
    return { ...assumed, until };
  } finally {
    client.destroy();
  }
};
