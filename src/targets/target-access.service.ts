import { Injectable } from '@nestjs/common';
import { connectPolicy, dbUserArn } from '../aws/connect-policy.js';
import { SecretsService } from '../aws/secrets.service.js';
import { SignerService } from '../aws/signer.service.js';
import { StsService, type ConnectSession } from '../aws/sts.service.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { RecentlyUsed } from '../platform/recently-used.js';
import type { BrokerLogin, TargetSession } from '../postgres/postgres.contract.js';
import { PostgresService } from '../postgres/postgres.service.js';
import { writable, type TargetRow } from './target.js';
import { TrustService } from './trust.service.js';

type EndpointRow = TargetRow['endpoints'][number];

/** What Usher signs with in a target's account: one person's login on one target, or its own. */
export interface SignFor {
  login: string;
  sessionName: string;
  sourceIdentity?: string;
  /** What the session is tagged with, where tags are switched on. */
  tags?: Readonly<Record<string, string>>;
}

/** What is needed of a target to sign in its account. */
type AccountOf = Pick<TargetRow, 'partition' | 'region' | 'accountId' | 'resourceId' | 'connectRole'>;

/** Each purpose has sessions of its own: people who ask, and ask again, must not keep access from being ended. */
export type Purpose = 'ask' | 'reconcile' | 'observe';

/** Keys that end sooner are not used again: a token signed with them would die before its 15 minutes. */
const REUSE_MS = 15 * 60_000;
const MAX_KEPT = 5_000;
/** For so long the version of a target's server is taken to be what it was. */
const VERSION_MS = 10 * 60_000;

const keyOf = (target: TargetRow, endpoint: EndpointRow, purpose: Purpose): string =>
  `${target.id}/${endpoint.id}/${purpose}`;

/** The broker's own way into a target, and the keys that sign tokens there. */
@Injectable()
export class TargetAccess {
  private readonly sessions = new RecentlyUsed<ConnectSession>(MAX_KEPT);
  private readonly asking = new Map<string, Promise<ConnectSession>>();
  private readonly versions = new Map<string, { major: number; until: number }>();

  constructor(
    private readonly postgres: PostgresService,
    private readonly trust: TrustService,
    private readonly sts: StsService,
    private readonly signer: SignerService,
    private readonly clock: Clock,
    private readonly secrets: SecretsService,
  ) {}

  /**
   * The guard on the endpoint where roles are made.
   * @throws DomainError `target_unreachable`, `target_untrusted`, `target_refused`, `target_not_ready`, `aws_denied`, `aws_unavailable`
   */
  writer(target: TargetRow, purpose: Purpose = 'ask'): Promise<TargetSession> {
    const endpoint = writable(target.endpoints);
    if (!endpoint)
      throw new DomainError('unavailable', 'target_not_ready', 'The target has no writer or instance endpoint.');
    return this.endpoint(target, endpoint, purpose);
  }

  /** The guard on one endpoint; on a reader it can only look. */
  async endpoint(target: TargetRow, endpoint: EndpointRow, purpose: Purpose): Promise<TargetSession> {
    const { servername, authority } = this.trust.advice(target, endpoint);
    const { pem } = await this.trust.roots(target, authority);
    const address = {
      host: endpoint.connectHost,
      port: endpoint.port,
      database: target.guardDatabase,
      servername,
      ca: pem,
    };
    return this.postgres.connect(keyOf(target, endpoint, purpose), address, this.brokerLogin(target, endpoint));
  }

  /** The sessions kept for one purpose are given up: the target failed, and the next to ask begins anew. */
  lost(target: TargetRow, purpose: Purpose): void {
    this.versions.delete(target.id);
    for (const endpoint of target.endpoints) this.postgres.drop(keyOf(target, endpoint, purpose));
  }

  /**
   * `server_version_num` / 10000, asked once in a while. A server only ever gets newer, and what older ones need done is
   * more: an answer of before an upgrade leaves nothing open.
   */
  async serverMajor(target: TargetRow, session: TargetSession): Promise<number> {
    const known = this.versions.get(target.id);
    if (known && known.until > Date.now()) return known.major;
    const major = Math.floor((await session.hello()).serverVersion / 10_000);
    this.versions.set(target.id, { major, until: Date.now() + VERSION_MS });
    return major;
  }

  /**
   * Keys in the target's account that may connect as exactly one login, reused while they outlive a token; many who ask at
   * once for the same wait for one answer. Tagged sessions are told apart by their tags, and so by grant.
   * @throws DomainError `aws_denied`, `aws_unavailable`, `too_many_requests`
   */
  signingSession(target: AccountOf, wanted: SignFor): Promise<ConnectSession> {
    const { tags, ...plain } = wanted;
    const kept = tags && this.sts.tags(tags);
    const ask: SignFor = { ...plain, ...(kept && { tags: kept }) };
    const key = JSON.stringify([
      target.partition,
      target.region,
      target.accountId,
      target.resourceId,
      target.connectRole,
      ask,
    ]);
    const known = this.sessions.get(key);
    const ends = known?.credentials.expiresAt?.getTime() ?? 0;
    if (known && ends - this.clock.now().getTime() >= REUSE_MS) return Promise.resolve(known);
    const underWay = this.asking.get(key);
    if (underWay) return underWay;
    const asked = this.assume(target, ask)
      .then((session) => {
        this.sessions.set(key, session);
        return session;
      })
      .finally(() => this.asking.delete(key));
    this.asking.set(key, asked);
    return asked;
  }

  private assume(target: AccountOf, ask: SignFor): Promise<ConnectSession> {
    const { partition, region, accountId, resourceId } = target;
    return this.sts.assumeConnectRole({
      partition,
      region,
      accountId,
      ...(target.connectRole !== null && { roleName: target.connectRole }),
      sessionName: ask.sessionName,
      ...(ask.sourceIdentity !== undefined && { sourceIdentity: ask.sourceIdentity }),
      ...(ask.tags && { tags: ask.tags }),
      policy: connectPolicy([dbUserArn({ partition, region, accountId, resourceId, user: ask.login })]),
    });
  }

  private brokerLogin(target: TargetRow, endpoint: EndpointRow): BrokerLogin {
    const user = target.brokerLogin;
    const secret = target.brokerSecret;
    if (secret !== null) return { user, password: async () => (await this.secrets.read(secret)).reveal() };
    return {
      user,
      password: async () => {
        const { credentials } = await this.signingSession(target, { login: user, sessionName: 'usher' });
        const { tokenHost: host, port } = endpoint;
        return (await this.signer.mintToken({ host, port, region: target.region, user, credentials })).token;
      },
    };
  }
}
