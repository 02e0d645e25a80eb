import { connectPolicy, dbUserArn } from '../aws/connect-policy.js';
import { SignerService } from '../aws/signer.service.js';
import { StsService } from '../aws/sts.service.js';
import { environment } from '../platform/environment.js';
import { readSettings, type Settings } from '../platform/config.js';
import type { BrokerLogin } from '../postgres/postgres.contract.js';

export interface SignedLogin {
  user: string;
  host: string;
  port: number;
  region: string;
  /** Whose connect role signs; undefined: the credentials of the environment themselves. */
  account: { accountId: string; resourceId: string; partition: string; connectRole: string | undefined } | undefined;
}

/** Settings of a command: nobody signs in to it, so it needs no OpenID provider. */
export const commandSettings = (): Settings =>
  readSettings({ OIDC_ISSUER: 'https://issuer.invalid', ...environment() });

/** The broker's way in by IAM token, signed as the service would sign it. */
export function signedLogin({ account, ...endpoint }: SignedLogin): BrokerLogin {
  const { aws } = commandSettings();
  const signer = new SignerService(aws);
  return {
    user: endpoint.user,
    password: async () => {
      const credentials = account === undefined ? undefined : await assumed(endpoint, account);
      return (await signer.mintToken({ ...endpoint, credentials })).token;
    },
  };
}

async function assumed({ user, region }: Omit<SignedLogin, 'account'>, of: NonNullable<SignedLogin['account']>) {
  const sts = StsService.alone(commandSettings().aws);
  const { accountId, resourceId, partition, connectRole } = of;
  try {
    const { credentials } = await sts.assumeConnectRole({
      ...{ partition, region, accountId },
      ...(connectRole !== undefined && { roleName: connectRole }),
      sessionName: 'usher',
      policy: connectPolicy([dbUserArn({ partition, region, accountId, resourceId, user })]),
    });
    return credentials;
  } finally {
    sts.onApplicationShutdown();
  }
}
