import { Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { grantFacts, subjectOf, withNeighbours, type GrantRow } from '../grants/grant.js';
import type { PersonActor } from '../platform/actor.js';
import { concerning } from '../platform/call.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { asId } from '../platform/page.js';
import type { Secret } from '../platform/secret.js';
import { Database } from '../platform/state/database.js';
import { absent, PolicyService } from '../policy/policy.service.js';
import { randomPassword, scramVerifier } from '../postgres/postgres.contract.js';
import { TargetAccess } from '../targets/target-access.service.js';
import { writable } from '../targets/target.js';
import { TrustService } from '../targets/trust.service.js';
import type { IssuePassword, LoginPassword } from './passwords.contract.js';
import { recordWhileLive } from './tokens.queries.js';
import { endpointFor, notActive, otherEndpoints, presentWay, refuseOthers, refuseState, type Way } from './way-in.js';

/**
 * Passwords for live grants of method password: made here, shown once, known to the target as a verifier and to nobody else.
 * One collaborator more than usual: it is asked, looked up, decided, recorded, done on the target and explained in one go.
 */
@Injectable()
export class PasswordsService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly audit: AuditService,
    private readonly access: TargetAccess,
    private readonly trust: TrustService,
  ) {}

  /**
   * A fresh password for one's own live grant, in place of any earlier one of the same login; sessions that are open stay.
   * It is on record before it is set, and only if the grant was still live then.
   * @throws DomainError `grant_not_found`, `not_your_grant`, `grant_closed`, `grant_not_started`, `grant_not_active`,
   *   `method_not_allowed`, and what {@link TargetAccess.writer} and the guard refuse
   */
  async issue(actor: PersonActor, grantId: string, input: IssuePassword): Promise<LoginPassword> {
    const where = { id: asId(grantId, 'grant id') };
    const grant = await this.db.client.grant.findUnique({ where, include: withNeighbours });
    if (!grant) throw absent.grant();
    concerning(subjectOf(grant));
    const now = this.clock.now();
    if (grant.personId === actor.id) refuseState(grant, now);
    this.policy.authorize(actor, 'issuePassword', grantFacts(grant, now));
    refuseOthers(grant, actor);
    if (grant.method !== 'password') throw usesTokens();
    const endpoint = endpointFor(grant.target.endpoints, input, writable);
    if (endpoint.kind === 'proxy') throw unknownToProxy();
    const password = randomPassword();
    await this.set(actor, grant, endpoint, password);
    return this.answer(grant, endpoint, password, { now, input });
  }

  private async set(actor: PersonActor, grant: GrantRow, endpoint: Way, password: Secret): Promise<void> {
    const { id: grantId, login, endsAt } = grant;
    const session = await this.access.writer(grant.target);
    const verifier = await scramVerifier(password);
    const facts = {
      endpoint: endpoint.kind,
      host: endpoint.connectHost,
      port: endpoint.port,
      login,
      expiresAt: endsAt,
    };
    const about = { action: 'password.issue', ...subjectOf(grant) } as const;
    const line = this.audit.row(actor, { ...about, details: { ...facts, step: 'being set' } });
    if (!(await recordWhileLive(this.db, line))) throw notActive('ended while the password was made');
    try {
      await session.setPassword({ login, grantId, verifier });
    } catch (error) {
      const { code, message } = error instanceof DomainError ? error : { code: 'internal', message: 'unexpected' };
      // it may have been set although no answer came, but then nobody has it
      const details = { ...facts, step: 'not set, or not known to be', message };
      await this.db.tx((tx) => this.audit.append(tx, actor, { ...about, outcome: 'failed', code, details }));
      throw error;
    }
  }

  private async answer(
    grant: GrantRow,
    endpoint: Way,
    password: Secret,
    { now: issuedAt, input }: { now: Date; input: IssuePassword },
  ): Promise<LoginPassword> {
    const { id: grantId, login: user, database, endsAt: expiresAt } = grant;
    const { connectHost: host, port } = endpoint;
    const tls = this.trust.advice(grant.target, endpoint);
    const secret = password.reveal();
    const place = { host, port, database, user };
    return {
      ...{ password: secret, issuedAt, expiresAt, ...place },
      ...presentWay({ grantId, method: 'password', secret, expiresAt, ...place }, tls, input.clients),
      warnings: [
        ...tls.warnings,
        ...otherEndpoints(grant.target.endpoints, endpoint, input),
        ...(await this.shared(grant)),
      ],
    };
  }

  /** Grants that overlap have one login, and a login has one password. */
  private async shared({ id, targetId, login }: GrantRow): Promise<string[]> {
    const others = await this.db.client.grant.findMany({
      where: { targetId, login, id: { not: id }, state: { in: ['opening', 'active'] } },
      orderBy: { endsAt: 'desc' },
      select: { id: true, endsAt: true },
    });
    const [last] = others;
    if (!last) return [];
    const ids = others.map((other) => other.id).join(', ');
    return [
      `Grant ${ids} has the same login, which has one password: this one from now on. It goes when the last of them ends (${last.endsAt.toISOString()} or the end of this one).`,
    ];
  }
}

const usesTokens = (): DomainError =>
  new DomainError(
    'conflict',
    'method_not_allowed',
    'This grant is used with tokens, not with a password.',
    'POST /v1/grants/{id}/tokens gives one; for a password ask for a grant of method password.',
  );

const unknownToProxy = (): DomainError =>
  new DomainError(
    'invalid',
    'method_not_allowed',
    'RDS Proxy lets in only those logins whose password is a secret that it was given.',
    'Leave endpoint out, or name the writer, a reader or the instance.',
  );
