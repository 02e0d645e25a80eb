import { Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { subjectOf } from '../grants/grant.js';
import { isLive } from '../grants/lifecycle.js';
import { roleSessionName } from '../identity/role-session-name.js';
import type { PersonActor } from '../platform/actor.js';
import { concerning } from '../platform/call.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { RecentlyUsed } from '../platform/recently-used.js';
import { Database } from '../platform/state/database.js';
import { absent, PolicyService } from '../policy/policy.service.js';
import { usual } from '../targets/target.js';
import { TrustService } from '../targets/trust.service.js';
import { cutBy } from './token-limits.js';
import type { LoginToken, MintToken } from './tokens.contract.js';
import { factsOf, mintable, recordIfUnchanged, recordWhileLive, type Mintable } from './tokens.queries.js';
import { TokenSigning, type SignedToken } from './tokens.signing.js';
import type { SigningHost } from './signing-host.js';
import { endpointFor, notActive, otherEndpoints, presentWay, refuseOthers, refuseState } from './way-in.js';

type EndpointRow = Mintable['target']['endpoints'][number];

/** What may be signed, after everything was asked that can refuse it. */
interface Decided {
  readonly endpoint: EndpointRow;
  readonly signedFor: SigningHost;
}

const MAX_KEPT = 5_000;

/**
 * Login tokens for live grants, each with the trust and the recipes that make it work. One collaborator more than usual: it is
 * looked up, asked, decided, signed, recorded and explained in one go.
 */
@Injectable()
export class TokensService {
  /** As last read. Whoever asks for many tokens reads the grant once: that nothing has changed is part of writing the record. */
  private readonly kept = new RecentlyUsed<Mintable>(MAX_KEPT);

  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly audit: AuditService,
    private readonly signing: TokenSigning,
    private readonly trust: TrustService,
  ) {}

  /**
   * A token for one's own live grant. It is on record before it leaves, and only if the grant was still live then and all
   * that was decided on still stood.
   * @throws DomainError `grant_not_found`, `not_your_grant`, `grant_closed`, `grant_not_started`, `grant_not_active`,
   *   `method_not_allowed`, `mode_not_supported`, `host_not_signable`, `too_many_tokens`, `aws_denied`, `aws_unavailable`
   */
  async mint(actor: PersonActor, grantId: string, input: MintToken): Promise<LoginToken> {
    const kept = this.kept.get(grantId);
    const decided = kept && this.attempt(actor, kept, input);
    if (kept && decided) {
      const token = await this.issue(actor, kept, decided, input, (line) =>
        recordIfUnchanged(this.db, line, kept.version),
      );
      if (token) return token;
    }
    this.kept.delete(grantId);
    const grant = await mintable(this.db, grantId);
    if (!grant) throw absent.grant();
    const token = await this.issue(actor, grant, this.decide(actor, grant, input), input, (line) =>
      recordWhileLive(this.db, line),
    );
    if (!token) throw notActive('ended while the token was made');
    this.kept.set(grantId, grant);
    return token;
  }

  /** A refusal that rests on what was kept says nothing: undefined, and it is decided anew on what is there now. */
  private attempt(actor: PersonActor, grant: Mintable, input: MintToken): Decided | undefined {
    try {
      return this.decide(actor, grant, input);
    } catch {
      return undefined;
    }
  }

  private decide(actor: PersonActor, grant: Mintable, input: MintToken): Decided {
    concerning(subjectOf(grant));
    const now = this.clock.now();
    if (grant.personId === actor.id) refuseState(grant, now);
    this.policy.authorize(actor, 'mintToken', factsOf(grant, isLive(grant, now)));
    refuseOthers(grant, actor);
    if (grant.method !== 'iam') throw usesPassword();
    const endpoint = endpointFor(grant.target.endpoints, input, usual);
    const signedFor = this.signing.hostFor(grant.target, endpoint);
    if (grant.mode === 'attached') throw signsAlone(grant, signedFor);
    return { endpoint, signedFor };
  }

  /** @returns undefined when it could not be recorded: it is no token then */
  private async issue(
    actor: PersonActor,
    grant: Mintable,
    { endpoint, signedFor }: Decided,
    input: MintToken,
    record: (line: ReturnType<AuditService['row']>) => Promise<boolean>,
  ): Promise<LoginToken | undefined> {
    await this.signing.count(grant.targetId);
    const signed = await this.signing.sign(grant, signedFor, roleSessionName(actor));
    const expiresAt = new Date(Math.min(signed.expiresAt.getTime(), grant.endsAt.getTime()));
    const { issuedAt, principalArn } = signed;
    const details = {
      ...{ endpoint: endpoint.kind, host: signedFor.host, port: signedFor.port, login: grant.login },
      ...{ issuedAt, expiresAt, principalArn },
    };
    const line = this.audit.row(actor, { action: 'token.mint', ...subjectOf(grant), details });
    return (await record(line)) ? this.answer(grant, endpoint, signed, { expiresAt, input }) : undefined;
  }

  private answer(
    grant: Mintable,
    endpoint: EndpointRow,
    { token, tokenLength, issuedAt, signedFor }: SignedToken,
    { expiresAt, input }: { expiresAt: Date; input: MintToken },
  ): LoginToken {
    const { target, login: user, database } = grant;
    const { id: endpointId, connectHost: host, port } = endpoint;
    const tls = this.trust.advice(target, endpoint);
    const place = { host, port, database, user };
    const recipe = { grantId: grant.id, method: 'iam', secret: token, expiresAt, ...place } as const;
    return {
      ...{ token, tokenLength, issuedAt, expiresAt, ...place },
      ...{ tokenHost: signedFor.host, tokenPort: signedFor.port, endpointId },
      ...presentWay(recipe, tls, input.clients),
      warnings: [...tls.warnings, ...otherEndpoints(target.endpoints, endpoint, input)],
      cutBy: cutBy(tokenLength),
    };
  }
}

const usesPassword = (): DomainError =>
  new DomainError(
    'conflict',
    'method_not_allowed',
    'This grant is used with a password, not with tokens.',
    'POST /v1/grants/{id}/passwords gives one; for tokens ask for a grant of method iam.',
  );

const signsAlone = ({ id, login, target }: Mintable, { host, port }: SigningHost): DomainError =>
  new DomainError(
    'conflict',
    'mode_not_supported',
    'In attached mode you sign your own tokens.',
    `Run: aws rds generate-db-auth-token --hostname ${host} --port ${port} --region ${target.region} --username ${login}. GET /v1/grants/${id}/recipes has recipes for each client.`,
  );
