import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { STSClient } from '@aws-sdk/client-sts';
import { RateLimiterMemory, RateLimiterQueue } from 'rate-limiter-flexible';
import { DomainError } from '../platform/errors.js';
import { AccountClients, AwsAccounts, type OwnIdentity } from './accounts.js';
import { assumeRole } from './assume-role.js';
import { AWS_CONFIG, type AwsConfig } from './config.js';
import type { PolicyDocument } from './connect-policy.js';
import type { SigningCredentials } from './secret.js';

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
/** As AWS allows a request to differ from its own clock (Signature Version 4, RequestTimeTooSkewed). */
const MOST_SKEW_MS = 5 * 60_000;
/** Who would wait longer for a turn at STS is told to come again. */
const LONGEST_WAIT_SECONDS = 2;

/** AWS STS: the connect session whose keys sign one person's login tokens. */
@Injectable()
export class StsService implements OnApplicationShutdown {
  readonly #clients: AccountClients<STSClient>;
  readonly #config: AwsConfig;
  readonly #accounts: AwsAccounts;
  readonly #rate: RateLimiterQueue;

  constructor(@Inject(AWS_CONFIG) config: AwsConfig, accounts: AwsAccounts) {
    this.#config = config;
    this.#accounts = accounts;
    const points = config.stsPerSecond ?? 100;
    const rate = new RateLimiterMemory({ points, duration: 1 });
    this.#rate = new RateLimiterQueue(rate, { maxQueueSize: points * LONGEST_WAIT_SECONDS });
    // the connect role of an account that is not registered may trust Usher's own principal directly
    this.#clients = new AccountClients(accounts, 'sts', (settings) => new STSClient(settings), 'own-credentials');
  }

  /** For a command of an operator, which has no register of accounts: with Usher's own credentials everywhere. */
  static alone(config: AwsConfig): StsService {
    return new StsService(config, AwsAccounts.alone(config));
  }

  /**
   * Assumes the target account's connect role, narrowed to `policy`.
   * @throws DomainError invalid/`invalid_input`, invalid/`policy_too_large`, unavailable/`aws_denied` | `aws_unavailable`
   */
  async assumeConnectRole(ask: AssumeConnectRole): Promise<ConnectSession> {
    const policy = JSON.stringify(ask.policy);
    refuse(ask, policy);
    const account = await this.#accounts.find(ask);
    const role = ask.roleName ?? account?.connectRole ?? this.#config.connectRoleName;
    const roleArn = `arn:${ask.partition}:iam::${ask.accountId}:role/${role}`;
    const client = await this.#clients.in(ask);
    // Usher's own way into a target waits for nobody: what people ask for must not keep access from being ended
    if (ask.sourceIdentity !== undefined) await this.#turn(`${ask.accountId}/${ask.region}`);
    const seconds = ask.durationSeconds ?? this.#config.connectSeconds ?? 3_600;
    const { credentials, principalArn } = await assumeRole(client, {
      RoleArn: roleArn,
      RoleSessionName: ask.sessionName,
      Policy: policy,
      DurationSeconds: seconds,
      SourceIdentity: ask.sourceIdentity,
      // the external id of an account is for the door that Usher comes in by: its broker role, else the connect role itself
      ExternalId: (account?.brokerRoleArn === null ? account.externalId : null) ?? this.#config.externalId?.reveal(),
      Tags: ask.tags && Object.entries(ask.tags).map(([Key, Value]) => ({ Key, Value })),
    });
    refuseSkew(credentials.expiresAt.getTime() - seconds * 1_000 - Date.now());
    return { credentials, principalArn };
  }

  /**
   * The tags that a connect session carries, in the grammar of STS; undefined where they are switched off. Sessions of
   * different tags are different sessions: what is kept of one must not serve another.
   */
  tags(wanted: Readonly<Record<string, string>>): Readonly<Record<string, string>> | undefined {
    if (this.#config.sessionTags !== true) return undefined;
    return Object.fromEntries(Object.entries(wanted).map(([key, value]) => [key, tagValue(value)]));
  }

  /** @throws DomainError quota/`too_many_requests` when more wait than will be served in two seconds */
  async #turn(place: string): Promise<void> {
    await this.#rate.removeTokens(1, place).catch(() => {
      throw new DomainError(
        'quota',
        'too_many_requests',
        'Too many people ask for sessions in this AWS account at once.',
        'Try again in a moment: a token that you have serves any number of connections for 15 minutes.',
        { retryAfterSeconds: LONGEST_WAIT_SECONDS },
      );
    });
  }

  /** Who Usher itself is in AWS: for readiness and for telling an operator which principal to trust. */
  callerIdentity(region: string): Promise<OwnIdentity> {
    return this.#accounts.own(region);
  }

  onApplicationShutdown(): void {
    this.#clients.destroy();
  }
}

/** AWS STS: letters, digits, blanks and `_.:/=+-@`, 256 at most. What else there is becomes `_`. */
const tagValue = (text: string): string => text.replace(/[^\p{L}\p{Z}\p{N}_.:/=+\-@]/gu, '_').slice(0, 256);

/**
 * The SDK puts its own calls right when AWS tells another time; a login token is signed without AWS, by this host's clock,
 * which is also why no injected clock is asked. Such a token fails with no more than "PAM authentication failed".
 * @param ahead milliseconds by which the time of AWS is ahead
 */
const refuseSkew = (ahead: number): void => {
  if (Math.abs(ahead) <= MOST_SKEW_MS) return;
  const minutes = `${Math.round(Math.abs(ahead) / 60_000)} minutes`;
  throw new DomainError(
    'unavailable',
    'aws_denied',
    `The clock of Usher's host is ${minutes} ${ahead > 0 ? 'behind' : 'ahead of'} that of AWS: no token that it signs would be taken.`,
    "Set the clock of the service's host (chronyc tracking).",
  );
};

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
