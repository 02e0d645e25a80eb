import { Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { SignerService, type MintedToken } from '../aws/signer.service.js';
import { subjectOf } from '../grants/grant.js';
import { isLive, isOver } from '../grants/lifecycle.js';
import { roleSessionName } from '../identity/role-session-name.js';
import type { PersonActor } from '../platform/actor.js';
import { concerning } from '../platform/call.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { Database } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import { TargetAccess } from '../targets/target-access.service.js';
import { targetFacts, usual, writable } from '../targets/target.js';
import type { EndpointKind } from '../targets/targets.contract.js';
import type { TlsAdvice } from '../targets/trust-advice.js';
import { TrustService } from '../targets/trust.service.js';
import { recipes } from './recipe.js';
import type { LoginToken, MintToken } from './tokens.contract.js';
import { mintable, recordMint, type Mintable } from './tokens.queries.js';

type EndpointRow = Mintable['target']['endpoints'][number];

/** Login tokens for live grants, each with the trust and the recipes that make it work. */
@Injectable()
export class TokensService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly audit: AuditService,
    private readonly access: TargetAccess,
    private readonly signer: SignerService,
    private readonly trust: TrustService,
  ) {}

  /**
   * A token for one's own live grant. It is on record before it leaves, and only if the grant was still live then.
   * @throws DomainError `grant_not_found`, `not_your_grant`, `grant_closed`, `grant_not_started`, `grant_not_active`,
   *   `mode_not_supported`, `aws_denied`, `aws_unavailable`
   */
  async mint(actor: PersonActor, grantId: string, input: MintToken): Promise<LoginToken> {
    const grant = await mintable(this.db, grantId);
    if (!grant)
      throw new DomainError('not_found', 'grant_not_found', 'There is no such grant.', 'GET /v1/grants lists yours.');
    concerning(subjectOf(grant));
    const now = this.clock.now();
    if (grant.personId === actor.id) refuseState(grant, now);
    const { target, profile } = grant;
    const live = isLive(grant, now);
    this.policy.authorize(actor, 'mintToken', {
      id: grant.id,
      holderId: grant.personId,
      profile: { ...profile, target: targetFacts(target) },
      live,
      expiresAt: grant.endsAt,
    });
    refuseAttached(grant);
    const endpoint = endpointFor(target.endpoints, input.endpoint);
    const person = roleSessionName(actor);
    const { credentials, principalArn } = await this.access.signingSession(target, {
      login: grant.login,
      sessionName: person,
      sourceIdentity: person,
    });
    const minted = await this.signer.mintToken({
      host: endpoint.tokenHost,
      port: endpoint.port,
      region: target.region,
      user: grant.login,
      credentials,
    });
    const expiresAt = new Date(Math.min(minted.expiresAt.getTime(), grant.endsAt.getTime()));
    await this.record(actor, grant, endpoint, { issuedAt: minted.issuedAt, expiresAt, principalArn });
    return this.answer(grant, endpoint, minted, expiresAt);
  }

  private async record(
    actor: PersonActor,
    grant: Mintable,
    endpoint: EndpointRow,
    minted: { issuedAt: Date; expiresAt: Date; principalArn: string },
  ): Promise<void> {
    const details = {
      endpoint: endpoint.kind,
      host: endpoint.tokenHost,
      port: endpoint.port,
      login: grant.login,
      ...minted,
    };
    const line = this.audit.row(actor, { action: 'token.mint', ...subjectOf(grant), details });
    if (!(await recordMint(this.db, line))) throw notActive('ended while the token was made');
  }

  private answer(grant: Mintable, endpoint: EndpointRow, minted: MintedToken, expiresAt: Date): LoginToken {
    const { target, login: user, database } = grant;
    const { tls, warnings } = this.tls(target, endpoint);
    const { connectHost: host, port, tokenHost } = endpoint;
    const { token, tokenLength, issuedAt } = minted;
    const texts = recipes({ grantId: grant.id, token, expiresAt, host, port, database, user, tls });
    const { mode, servername, authority, caBundleUrl, caBundlePkcs7Url, caIdentifier, caExpiresAt } = tls;
    return {
      ...{ token, tokenLength, issuedAt, expiresAt, host, port, tokenHost, database, user },
      tls: { mode, servername, authority, caBundleUrl, caBundlePkcs7Url, caIdentifier, caExpiresAt },
      recipes: texts.map(({ client, text, notes }) => ({ client, text, notes: [...notes] })),
      warnings,
    };
  }

  private tls(target: Mintable['target'], endpoint: EndpointRow): { tls: TlsAdvice; warnings: string[] } {
    const tls = this.trust.advice({
      kind: endpoint.kind as EndpointKind,
      connectHost: endpoint.connectHost,
      tokenHost: endpoint.tokenHost,
      writerHost: writable(target.endpoints)?.tokenHost,
      partition: target.partition,
      region: target.region,
      caIdentifier: target.caIdentifier,
    });
    return { tls, warnings: [...tls.warnings] };
  }
}

function refuseState(grant: Mintable, now: Date): void {
  if (isOver(grant.state) || grant.state === 'closing' || now >= grant.endsAt)
    throw new DomainError(
      'conflict',
      'grant_closed',
      `The grant is ${grant.state === 'active' ? 'over' : grant.state}.`,
      'Ask for access anew with POST /v1/requests.',
    );
  if (grant.state === 'scheduled')
    throw new DomainError(
      'conflict',
      'grant_not_started',
      `The grant begins at ${grant.startsAt.toISOString()}.`,
      'Come back then.',
    );
  if (grant.state !== 'active') throw notActive('is being opened');
}

const notActive = (why: string): DomainError =>
  new DomainError(
    'conflict',
    'grant_not_active',
    `The grant ${why}.`,
    'GET /v1/grants/{id}?wait=active answers when it is open.',
  );

function refuseAttached(grant: Mintable): void {
  if (grant.mode !== 'attached') return;
  const endpoint = usual(grant.target.endpoints);
  const command = `aws rds generate-db-auth-token --hostname ${endpoint?.tokenHost ?? '<endpoint>'} --port ${endpoint?.port ?? 5432} --region ${grant.target.region} --username ${grant.login}`;
  throw new DomainError(
    'conflict',
    'mode_not_supported',
    'In attached mode you sign your own tokens.',
    `Run: ${command}`,
  );
}

function endpointFor(endpoints: readonly EndpointRow[], kind: EndpointKind | undefined): EndpointRow {
  const endpoint = kind === undefined ? usual(endpoints) : endpoints.find((candidate) => candidate.kind === kind);
  if (endpoint) return endpoint;
  throw new DomainError(
    'invalid',
    'invalid_input',
    `The target has no endpoint of kind ${kind ?? 'writer'}.`,
    `It has ${endpoints.map((known) => known.kind).join(', ')}.`,
  );
}
