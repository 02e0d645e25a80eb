import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { DomainError } from '../platform/errors.js';
import { askAws } from './aws-fault.js';
import { RegionalClients } from './clients.js';
import { AWS_CONFIG, type AwsConfig } from './config.js';
import type { PolicyDocument } from './connect-policy.js';
import { SigningCredentials } from './secret.js';

export interface AssumeConnectRole {
  readonly partition: string;
  /** Region whose STS endpoint is asked, normally the target's. */
  readonly region: string;
  readonly accountId: string;
  /** Default: `connectRoleName` of the configuration. */
  readonly roleName?: string | undefined;
  /** 2..64 of `[\w+=,.@-]`; see `sessionName`. In CloudTrail and, on failed logins, in the iam-db-auth-error log. */
  readonly sessionName: string;
  /** 2..64 of `[\w+=,.@-]`; cannot be changed along a chain of roles. */
  readonly sourceIdentity?: string | undefined;
  readonly policy: PolicyDocument;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** 900..3600: role chaining allows no more. Default 3600. */
  readonly durationSeconds?: number | undefined;
}

export interface ConnectSession {
  readonly credentials: SigningCredentials;
  /** `arn:…:sts::…:assumed-role/{role}/{session}`. */
  readonly principalArn: string;
}

const SESSION_NAME = /^[\w+=,.@-]{2,64}$/;
/** AWS STS AssumeRole: plain text of an inline session policy. The packed limit applies besides. */
const SESSION_POLICY_LIMIT = 2_048;

/** AWS STS: the connect session whose keys sign one person's login tokens. */
@Injectable()
export class StsService implements OnApplicationShutdown {
  readonly #clients: RegionalClients<STSClient>;
  readonly #config: AwsConfig;

  constructor(@Inject(AWS_CONFIG) config: AwsConfig) {
    this.#config = config;
    this.#clients = new RegionalClients(config, (settings) => new STSClient(settings));
  }

  /**
   * Assumes the target account's connect role, narrowed to `policy`.
   * @throws DomainError invalid/`invalid_input`, invalid/`policy_too_large`, unavailable/`aws_denied` | `aws_unavailable`
   */
  async assumeConnectRole(ask: AssumeConnectRole): Promise<ConnectSession> {
    const policy = JSON.stringify(ask.policy);
    refuse(ask, policy);
    const role = ask.roleName ?? this.#config.connectRoleName;
    const roleArn = `arn:${ask.partition}:iam::${ask.accountId}:role/${role}`;
    const answer = await askAws({ action: 'sts:AssumeRole', on: roleArn }, () =>
      this.#clients.in(ask.region).send(
        new AssumeRoleCommand({
          RoleArn: roleArn,
          RoleSessionName: ask.sessionName,
          Policy: policy,
          DurationSeconds: ask.durationSeconds ?? 3_600,
          SourceIdentity: ask.sourceIdentity,
          ExternalId: this.#config.externalId,
          Tags: ask.tags && Object.entries(ask.tags).map(([Key, Value]) => ({ Key, Value })),
        }),
      ),
    );
    const keys = answer.Credentials;
    const principalArn = answer.AssumedRoleUser?.Arn;
    if (!keys?.AccessKeyId || !keys.SecretAccessKey || !keys.SessionToken || !keys.Expiration || !principalArn) {
      throw new DomainError('unavailable', 'aws_unavailable', `STS gave an incomplete answer for ${roleArn}.`);
    }
    const credentials = new SigningCredentials({
      accessKeyId: keys.AccessKeyId,
      secretAccessKey: keys.SecretAccessKey,
      sessionToken: keys.SessionToken,
      expiresAt: keys.Expiration,
    });
    return { credentials, principalArn };
  }

  /** Who Usher itself is in AWS: for readiness and for telling an operator which principal to trust. */
  async callerIdentity(region: string): Promise<{ arn: string; accountId: string }> {
    const answer = await askAws({ action: 'sts:GetCallerIdentity', on: 'its own credentials' }, () =>
      this.#clients.in(region).send(new GetCallerIdentityCommand({})),
    );
    return { arn: answer.Arn ?? '', accountId: answer.Account ?? '' };
  }

  onApplicationShutdown(): void {
    this.#clients.forEach((client) => client.destroy());
  }
}

const refuse = (ask: AssumeConnectRole, policy: string): void => {
  const seconds = ask.durationSeconds ?? 3_600;
  if (!Number.isInteger(seconds) || seconds < 900 || seconds > 3_600) {
    throw new DomainError('invalid', 'invalid_input', 'A connect session lasts 900 to 3600 seconds.');
  }
  if (![ask.sessionName, ask.sourceIdentity ?? ask.sessionName].every((name) => SESSION_NAME.test(name))) {
    throw new DomainError('invalid', 'invalid_input', 'A session name has 2 to 64 letters, digits or _+=,.@-.');
  }
  if (policy.length > SESSION_POLICY_LIMIT) {
    throw new DomainError(
      'invalid',
      'policy_too_large',
      `The session policy has ${policy.length} characters; STS takes ${SESSION_POLICY_LIMIT}.`,
      'Ask for fewer databases in one session.',
    );
  }
};
