import { Injectable } from '@nestjs/common';
import { subjectOf } from '../grants/grant.js';
import { isLive } from '../grants/lifecycle.js';
import type { PersonActor } from '../platform/actor.js';
import { concerning } from '../platform/call.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { Database } from '../platform/state/database.js';
import { absent, PolicyService } from '../policy/policy.service.js';
import { usual } from '../targets/target.js';
import { TrustService } from '../targets/trust.service.js';
import type { SelfSigning, SelfSigningQuery } from './tokens.contract.js';
import { factsOf, mintable } from './tokens.queries.js';
import { TokenSigning } from './tokens.signing.js';
import { endpointFor, otherEndpoints, presentWay, refuseState } from './way-in.js';

/** Attached mode: who signs with keys of their own needs to know for which name, and all the rest that a token comes with. */
@Injectable()
export class SelfSigningService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly signing: TokenSigning,
    private readonly trust: TrustService,
  ) {}

  /**
   * Recipes for one's own live grant in attached mode. Nothing in them is secret.
   * @throws DomainError `grant_not_found`, `not_your_grant`, `grant_closed`, `grant_not_started`, `grant_not_active`,
   *   `mode_not_supported`, `host_not_signable`
   */
  async recipes(actor: PersonActor, grantId: string, query: SelfSigningQuery): Promise<SelfSigning> {
    const grant = await mintable(this.db, grantId);
    if (!grant) throw absent.grant();
    concerning(subjectOf(grant));
    const now = this.clock.now();
    if (grant.personId === actor.id) refuseState(grant, now);
    this.policy.authorize(actor, 'mintToken', factsOf(grant, isLive(grant, now)));
    if (grant.method !== 'iam' || grant.mode !== 'attached') throw notAttached();
    const { target, login: user, database, endsAt: expiresAt } = grant;
    const endpoint = endpointFor(target.endpoints, query, usual);
    const signing = { ...this.signing.hostFor(target, endpoint), region: target.region };
    const tls = this.trust.advice(target, endpoint);
    const place = { host: endpoint.connectHost, port: endpoint.port, database, user, expiresAt };
    const recipe = { grantId: grant.id, method: 'iam', secret: undefined, signing, ...place } as const;
    return {
      ...place,
      ...{ tokenHost: signing.host, tokenPort: signing.port, region: signing.region, endpointId: endpoint.id },
      ...presentWay(recipe, tls, query.clients),
      warnings: [...tls.warnings, ...otherEndpoints(target.endpoints, endpoint, query)],
    };
  }
}

const notAttached = (): DomainError =>
  new DomainError(
    'conflict',
    'mode_not_supported',
    'Only a grant in attached mode is used with tokens of your own making.',
    'POST /v1/grants/{id}/tokens, or /passwords for method password, gives recipes together with what they need.',
  );
