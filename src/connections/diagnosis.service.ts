import { Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { grantFacts, subjectOf, type GrantRow } from '../grants/grant.js';
import { GrantsService } from '../grants/grants.service.js';
import { roleSessionName } from '../identity/role-session-name.js';
import type { PersonActor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { Database } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import { usual } from '../targets/target.js';
import { meaningOf } from './diagnosis-errors.js';
import { fault, inOrder, ok, skipped, unknown, verdictOf, type Hop } from './diagnosis-hop.js';
import { DiagnosisLooks } from './diagnosis-looks.js';
import { grantHop } from './diagnosis-target.js';
import { lookAtToken, originOf, type MintOnRecord } from './diagnosis-token.js';
import type { DiagnoseGrant, Diagnosis } from './diagnosis.contract.js';
import { TokenSigning } from './tokens.signing.js';
import type { Way } from './way-in.js';

const GIVEN = ['error', 'token', 'host', 'port', 'user', 'client', 'connectedFrom'] as const;

/**
 * Why a login does not work. Two collaborators more than usual: it asks everybody who knows a part of the way. What was given
 * is read in here, and nowhere else: no token and no pasted text reaches an answer, an error, the log or the record.
 */
@Injectable()
export class DiagnosisService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly audit: AuditService,
    private readonly grants: GrantsService,
    private readonly looks: DiagnosisLooks,
    private readonly signing: TokenSigning,
  ) {}

  /**
   * Walks the way of a login and names the first hop that fails.
   * @throws DomainError `grant_not_found`, `policy_denied`, `not_your_grant` for a token to a grant of somebody else's
   */
  async diagnose(actor: PersonActor, id: string, input: DiagnoseGrant): Promise<Diagnosis> {
    const grant = await this.grants.row(this.db.client, id);
    const now = this.clock.now();
    this.policy.authorize(actor, 'diagnose', grantFacts(grant, now));
    if (input.token !== undefined && grant.personId !== actor.id) throw notYours();
    const { hops, arn } = await this.walk(actor, grant, input, now);
    const ordered = inOrder(hops);
    const verdict = verdictOf(ordered) ?? null;
    await this.db.tx((tx) =>
      this.audit.append(tx, actor, {
        action: 'grant.diagnose',
        ...subjectOf(grant),
        details: {
          given: GIVEN.filter((name) => input[name] !== undefined),
          verdict: verdict === null ? null : { hop: verdict.name, state: verdict.state },
        },
      }),
    );
    return {
      grantId: grant.id,
      verdict: verdict && { ...verdict },
      hops: ordered.map((hop) => ({ ...hop })),
      dbUserArn: arn,
    };
  }

  private async walk(
    actor: PersonActor,
    grant: GrantRow,
    input: DiagnoseGrant,
    now: Date,
  ): Promise<{ hops: Hop[]; arn: string | null }> {
    const first = grantHop(grant, now);
    const told = this.told(input.error);
    // nothing behind the grant belongs to it any more
    if (first.state === 'fault') return { hops: [first, ...told], arn: null };
    const endpoint = endpointOf(grant, input);
    const { arn, hop } = this.looks.resource(grant);
    const byToken = grant.method === 'iam';
    const [outside, target, iam, token] = await Promise.all([
      endpoint ? this.looks.atEndpoint(grant.target, endpoint, now) : [],
      this.looks.atTarget(grant, now),
      byToken && arn !== null
        ? this.looks.atIam(grant, arn, roleSessionName(actor))
        : skipped('iam', 'IAM is not asked.'),
      this.token(grant, endpoint, input.token, now),
    ]);
    const resource = byToken ? hop : skipped('resource', 'A login by password asks IAM nothing.');
    const client = clientHop(grant, input);
    return {
      hops: [first, ...outside, ...target, resource, iam, client, ...token, ...told],
      arn: byToken ? arn : null,
    };
  }

  /** What the pasted text means; the text itself goes no further. */
  private told(error: string | undefined): Hop[] {
    if (error === undefined) return [];
    const meaning = meaningOf(error);
    return meaning === undefined
      ? [
          unknown(
            'login',
            'The error is none that is known here.',
            'Compare it with docs/diagnosis.md, and give the token too.',
          ),
        ]
      : [fault(meaning.hop, meaning.meaning, meaning.cure)];
  }

  private async token(grant: GrantRow, endpoint: Way | undefined, text: string | undefined, now: Date): Promise<Hop[]> {
    if (text === undefined) return [skipped('token', 'No token was given.')];
    if (grant.method !== 'iam')
      return [
        fault('token', 'This grant logs in by password: a token opens nothing.', 'POST /v1/grants/{id}/passwords'),
      ];
    if (endpoint === undefined) return [skipped('token', 'The target has no endpoint.')];
    try {
      const signedFor = this.signing.hostFor(grant.target, endpoint);
      const { region, endpoints } = grant.target;
      const aliases = endpoints.map(({ connectHost }) => connectHost);
      const { hops, read } = lookAtToken(text, { ...signedFor, region, user: grant.login, aliases, now });
      if (read === undefined || hops.some(({ state }) => state === 'fault')) return hops;
      return [originOf(read, await this.mints(grant), grant.mode, now)];
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      return [fault('token', error.message, error.advice ?? 'Name another endpoint.')];
    }
  }

  /** The latest of this grant's mints: a token that is older than these is over in any case. */
  private async mints(grant: GrantRow): Promise<MintOnRecord[]> {
    const lines = await this.db.client.auditEvent.findMany({
      where: { grantId: grant.id, action: 'token.mint' },
      orderBy: { id: 'desc' },
      take: 1_000,
      select: { details: true },
    });
    return lines.map(({ details }) => {
      const { issuedAt, expiresAt, host, port } = details as Record<string, string | number>;
      return {
        ...{ issuedAt: new Date(issuedAt ?? 0), expiresAt: new Date(expiresAt ?? 0) },
        ...{ host: String(host), port: Number(port) },
      };
    });
  }
}

const sameName = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();

/** Where the client went, if that is one of the target's own endpoints; else the one that is usual. */
function endpointOf(
  grant: GrantRow,
  { host, port }: DiagnoseGrant,
): GrantRow['target']['endpoints'][number] | undefined {
  const { endpoints } = grant.target;
  const fits = endpoints.filter(
    (one) =>
      (host === undefined || sameName(one.connectHost, host) || sameName(one.tokenHost, host)) &&
      (port === undefined || one.port === port),
  );
  return host === undefined && port === undefined ? usual(endpoints) : (fits[0] ?? usual(endpoints));
}

/** What the client was told to use, against what the grant is for. */
function clientHop(grant: GrantRow, { host, port, user }: DiagnoseGrant): Hop {
  if (user !== undefined && user !== grant.login)
    return fault(
      'client',
      `The client named another user: this grant's is ${grant.login}${sameName(user, grant.login) ? ', in just these letters' : ''}.`,
      `Set user=${grant.login}.`,
    );
  if (host === undefined && port === undefined) return skipped('client', 'Nothing was said of the client.');
  const { endpoints } = grant.target;
  const there = endpoints.filter(
    (one) => host === undefined || sameName(one.connectHost, host) || sameName(one.tokenHost, host),
  );
  const known = endpoints.map((one) => `${one.connectHost}:${one.port}`).join(', ');
  if (there.length === 0)
    return unknown(
      'client',
      'The client went to a host that is no endpoint of the target: a tunnel, an alias, an address, or a mistake.',
      `Connect to ${known}; through a tunnel keep that as host, and give the near end as hostaddr and port.`,
    );
  if (port !== undefined && !there.some((one) => one.port === port))
    return fault(
      'client',
      `The client went to port ${port}, where no endpoint of the target is.`,
      `Connect to ${known}.`,
    );
  return ok('client', 'Host, port and user are those of the grant.');
}

const notYours = (): DomainError =>
  new DomainError(
    'forbidden',
    'not_your_grant',
    'Only the holder of a grant may give a token of it.',
    'Leave the token out, or let the holder ask.',
  );
