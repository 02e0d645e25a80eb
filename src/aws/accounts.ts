import { Inject, Injectable } from '@nestjs/common';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { Clock, SystemClock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { RecentlyUsed } from '../platform/recently-used.js';
import { AccountRegister, type AddressedService, type RegisteredAccount } from './account-register.js';
import { askAws } from './aws-fault.js';
import { brokerCredentials } from './broker-credentials.js';
import { type ClientSettings, clientSettings, type CredentialProvider, ownCredentials } from './clients.js';
import { AWS_CONFIG, type AwsConfig } from './config.js';

/** Where a call to AWS goes. */
export interface AccountPlace {
  readonly partition: string;
  readonly accountId: string;
  readonly region: string;
}

/** Who Usher is by its own credentials. */
export interface OwnIdentity {
  readonly arn: string;
  readonly partition: string;
  readonly accountId: string;
}

/** What to do in an account that is neither registered nor Usher's own. */
export type Unregistered = 'refuse' | 'own-credentials';

/** A change made through another process is seen after so long; one through this process at once. */
const KNOWN_MS = 30_000;
/** Usher's own credentials may become others while it runs, as when a profile is edited. */
const OWN_MS = 10 * 60_000;
const MOST_BROKERS = 1_000;
const MOST_CLIENTS = 500;
/** Longer than a call with all its attempts takes. */
const RETIRE_MS = 120_000;

/** The way into each AWS account: whose credentials are used there, and at which addresses AWS is asked. */
@Injectable()
export class AwsAccounts {
  #known: { until: number; rows: Promise<readonly RegisteredAccount[]> } | undefined;
  #own: { until: number; identity: Promise<OwnIdentity> } | undefined;
  readonly #brokers = new RecentlyUsed<CredentialProvider>(MOST_BROKERS);

  constructor(
    @Inject(AWS_CONFIG) private readonly config: AwsConfig,
    @Inject(AccountRegister) private readonly register: Pick<AccountRegister, 'all'>,
    @Inject(Clock) private readonly clock: Clock,
  ) {}

  /** For who has no register, such as a command run before anything is registered: Usher's own account alone. */
  static alone(config: AwsConfig): AwsAccounts {
    return new AwsAccounts(config, { all: () => Promise.resolve([]) }, new SystemClock());
  }

  /** Every registered account, by partition and account id; at most 30 seconds old. */
  all(): Promise<readonly RegisteredAccount[]> {
    const now = this.clock.now().getTime();
    if (this.#known && this.#known.until > now) return this.#known.rows;
    const known = { until: now + KNOWN_MS, rows: this.register.all() };
    this.#known = known;
    known.rows.catch(() => {
      if (this.#known === known) this.#known = undefined;
    });
    return known.rows;
  }

  async find(place: Omit<AccountPlace, 'region'>): Promise<RegisteredAccount | undefined> {
    return (await this.all()).find((row) => row.accountId === place.accountId && row.partition === place.partition);
  }

  /** The register changed: what is known of it, and the keys of broker roles, are read anew. */
  forget(): void {
    this.#known = undefined;
    this.#brokers.clear();
  }

  /**
   * Who Usher is in AWS, asked at most once in ten minutes.
   * @param region whose STS is asked when no region is configured for Usher itself
   * @throws DomainError `aws_denied`, `aws_unavailable`
   */
  own(region: string): Promise<OwnIdentity> {
    const now = this.clock.now().getTime();
    if (this.#own && this.#own.until > now) return this.#own.identity;
    const own = { until: now + OWN_MS, identity: this.callerIdentity(this.config.region ?? region) };
    this.#own = own;
    own.identity.catch(() => {
      if (this.#own === own) this.#own = undefined;
    });
    return own.identity;
  }

  /**
   * What a client of one service is built with there. A registered account is entered through its broker role; Usher's own
   * needs no registration.
   * @returns `key` too: the same for as long as a client that was built before may be used
   * @throws DomainError invalid/`account_not_registered`; `aws_denied`, `aws_unavailable` while Usher asks who it is
   */
  async settings(
    place: AccountPlace,
    service: AddressedService,
    unregistered: Unregistered,
  ): Promise<{ key: string; settings: ClientSettings }> {
    const account = await this.find(place);
    const enteredAsItself = account === undefined || account.brokerRoleArn === null;
    if (enteredAsItself && unregistered === 'refuse') await this.refuseOthers(place);
    const credentials = enteredAsItself
      ? ownCredentials(this.config)
      : this.broker(account, account.brokerRoleArn, place.region);
    const endpoint = account?.endpoints[service];
    const { brokerRoleArn = null, externalId = null } = account ?? {};
    return {
      key: JSON.stringify([place.partition, place.accountId, place.region, brokerRoleArn, externalId, endpoint]),
      settings: clientSettings(this.config, place.region, credentials, endpoint),
    };
  }

  private broker(account: RegisteredAccount, roleArn: string, region: string): CredentialProvider {
    const endpoint = account.endpoints.sts;
    // the keys of one region would serve all; but where its STS fails, the account must stay reachable from the others
    const key = JSON.stringify([roleArn, account.externalId, endpoint ?? region]);
    const known = this.#brokers.get(key);
    if (known) return known;
    const sts = clientSettings(this.config, region, ownCredentials(this.config), endpoint);
    const made = brokerCredentials({ roleArn, externalId: account.externalId, sts }, () => this.clock.now());
    this.#brokers.set(key, made);
    return made;
  }

  private async refuseOthers({ partition, accountId, region }: AccountPlace): Promise<void> {
    const own = await this.own(region);
    if (own.accountId === accountId && own.partition === partition) return;
    throw new DomainError(
      'invalid',
      'account_not_registered',
      `Usher has no way into the AWS account ${accountId} (${partition}).`,
      'Register it with POST /v1/accounts and name a broker role that Usher may assume there.',
    );
  }

  private async callerIdentity(region: string): Promise<OwnIdentity> {
    const client = new STSClient(clientSettings(this.config, region, ownCredentials(this.config)));
    try {
      const call = { action: 'sts:GetCallerIdentity', on: 'its own credentials' };
      const answer = await askAws(call, () => client.send(new GetCallerIdentityCommand({})));
      const arn = answer.Arn ?? '';
      return { arn, partition: arn.split(':')[1] ?? '', accountId: answer.Account ?? '' };
    } finally {
      client.destroy();
    }
  }
}

/** What every SDK client has. */
interface Client {
  destroy(): void;
}

/** One client per account and region, built at first use and kept: sockets, retry quota and adaptive rate live in it. */
export class AccountClients<C extends Client> {
  readonly #clients = new RecentlyUsed<C>(MOST_CLIENTS, (client) => this.retire(client));
  readonly #retired = new Map<C, NodeJS.Timeout>();

  /** @param unregistered default: refused */
  constructor(
    private readonly accounts: AwsAccounts,
    private readonly service: AddressedService,
    private readonly build: (settings: ClientSettings) => C,
    private readonly unregistered: Unregistered = 'refuse',
  ) {}

  /** @throws DomainError invalid/`account_not_registered`; `aws_denied`, `aws_unavailable` */
  async in(place: AccountPlace): Promise<C> {
    const { key, settings } = await this.accounts.settings(place, this.service, this.unregistered);
    const known = this.#clients.get(key);
    if (known !== undefined) return known;
    const client = this.build(settings);
    this.#clients.set(key, client);
    return client;
  }

  /** For the shutdown of its owner: no call may be under way. */
  destroy(): void {
    this.#clients.clear();
    for (const [client, timer] of this.#retired) {
      clearTimeout(timer);
      client.destroy();
    }
    this.#retired.clear();
  }

  /** A call through it may be under way, and would break with its socket. */
  private retire(client: C): void {
    const end = (): void => {
      this.#retired.delete(client);
      client.destroy();
    };
    this.#retired.set(client, setTimeout(end, RETIRE_MS).unref());
  }
}
