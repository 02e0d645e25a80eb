import { AssumeRoleCommand, type AssumeRoleCommandInput, type STSClient } from '@aws-sdk/client-sts';
import { DomainError } from '../platform/errors.js';
import { askAws } from './aws-fault.js';
import { SigningCredentials } from './secret.js';

export interface AssumedRole {
  readonly credentials: SigningCredentials & { readonly expiresAt: Date };
  /** `arn:…:sts::…:assumed-role/{role}/{session}`. */
  readonly principalArn: string;
}

/** @throws DomainError unavailable/`aws_denied` | `aws_unavailable`, invalid/`policy_too_large` */
export const assumeRole = async (
  client: STSClient,
  input: AssumeRoleCommandInput & { RoleArn: string },
): Promise<AssumedRole> => {
  const answer = await askAws({ action: 'sts:AssumeRole', on: input.RoleArn }, () =>
    client.send(new AssumeRoleCommand(input)),
  );
  const keys = answer.Credentials;
  const principalArn = answer.AssumedRoleUser?.Arn;
  if (!keys?.AccessKeyId || !keys.SecretAccessKey || !keys.SessionToken || !keys.Expiration || !principalArn) {
    throw new DomainError('unavailable', 'aws_unavailable', `STS gave an incomplete answer for ${input.RoleArn}.`);
  }
  const credentials = new SigningCredentials({
    accessKeyId: keys.AccessKeyId,
    secretAccessKey: keys.SecretAccessKey,
    sessionToken: keys.SessionToken,
    expiresAt: keys.Expiration,
  }) as AssumedRole['credentials'];
  return { credentials, principalArn };
};
