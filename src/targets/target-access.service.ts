import { Injectable } from '@nestjs/common';
import { connectPolicy, dbUserArn } from '../aws/connect-policy.js';
import { SecretsService } from '../aws/secrets.service.js';
import { SignerService } from '../aws/signer.service.js';
import { StsService, type ConnectSession } from '../aws/sts.service.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import type { BrokerLogin, TargetSession } from '../postgres/postgres.contract.js';
import { PostgresService } from '../postgres/postgres.service.js';
import { writable, type TargetRow } from './target.js';
import type { EndpointKind } from './targets.contract.js';
import { TrustService } from './trust.service.js';

type EndpointRow = TargetRow['endpoints'][number];

/** What Usher signs with in a target's account: one person's login on one target, or its own. */
export interface SignFor {
  login: string;
  sessionName: string;
  sourceIdentity?: string;
}

/** What is needed of a target to sign in its account. */
type AccountOf = Pick<TargetRow, 'partition' | 'region' | 'accountId' | 'resourceId' | 'connectRole'>;

/** Each purpose has sessions of its own: people who ask, and ask again, must not keep access from being ended. */
export type Purpose = 'ask' | 'reconcile' | 'observe';

/** Keys that end sooner are not used again: a token signed with them would die before its 15 minutes. */
const REUSE_MS = 15 * 60_000;
const MAX_KEPT = 5_000;

/** The broker's own way into a target, and the keys that sign tokens there. */
@Injectable()
export class TargetAccess {
  private readonly sessions = new Map<string, Promise<ConnectSession>>();

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
    const { partition, region } = target;
    const advice = this.trust.advice({
      kind: endpoint.kind as EndpointKind,
      connectHost: endpoint.connectHost,
      tokenHost: endpoint.tokenHost,
      writerHost: writable(target.endpoints)?.tokenHost,
      partition,
      region,
      caIdentifier: target.caIdentifier,
    });
    const { pem } = await this.trust.certificates(partition, region);
    const address = {
      host: endpoint.connectHost,
      port: endpoint.port,
      database: target.guardDatabase,
      servername: advice.servername,
      ca: pem,
    };
    return this.postgres.connect(`${target.id}/${endpoint.id}/${purpose}`, address, this.brokerLogin(target, endpoint));
  }

  /**
   * Keys in the target's account that may connect as exactly one login, reused while they outlive a token.
   * @throws DomainError `aws_denied`, `aws_unavailable`
   */
  async signingSession(target: AccountOf, ask: SignFor): Promise<ConnectSession> {
    const key = JSON.stringify([
      target.partition,
      target.region,
      target.accountId,
      target.resourceId,
      target.connectRole,
      ask,
    ]);
    const kept = this.sessions.get(key);
    if (kept) {
      const session = await kept.catch(() => undefined);
      const ends = session?.credentials.expiresAt?.getTime() ?? 0;
      if (session && ends - this.clock.now().getTime() >= REUSE_MS) return session;
    }
    const asked = this.assume(target, ask);
    if (this.sessions.size >= MAX_KEPT) this.sessions.clear();
    this.sessions.set(key, asked);
    asked.catch(() => this.sessions.delete(key));
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
