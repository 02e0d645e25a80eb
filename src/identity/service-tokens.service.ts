import { Injectable } from '@nestjs/common';
import type { ServiceActor } from '../platform/actor.js';
import { DomainError } from '../platform/errors.js';
import { Database } from '../platform/state/database.js';
import type { VerifiedClient } from './identity.contract.js';
import { lockedOut, serviceActor } from './service-actor.js';
import { bearerToken, TokenVerifier } from './token-verifier.js';

/**
 * Turns a token that an OpenID provider gave to a client, and not to a person, into the service that this client is. The row is
 * read in every call and nothing is kept, as for keys.
 */
@Injectable()
export class ServiceTokensService {
  constructor(
    private readonly verifier: TokenVerifier,
    private readonly db: Database,
  ) {}

  /**
   * The service that calls; undefined where the token is a person's.
   * @param authorization value of the Authorization header
   * @throws DomainError `unknown_client`, `service_locked`; `token_missing`, `token_invalid`, `token_expired`,
   *   `identity_provider_unavailable` for either kind of token
   */
  async authenticate(
    authorization: string | undefined,
    call: Pick<ServiceActor, 'address' | 'correlationId'>,
  ): Promise<ServiceActor | undefined> {
    const verified = await this.verifier.verifyCaller(bearerToken(authorization));
    if (!('clientId' in verified)) return undefined;
    const where = { clientIssuer: verified.issuer, clientId: verified.clientId, removedAt: null };
    const row = await this.db.client.service.findFirst({ where });
    if (!row) throw unknownClient(verified);
    if (row.locked) throw lockedOut(row.name);
    return serviceActor(row, row.clientScopes, call);
  }

  /** @throws DomainError `invalid_input` for an issuer none of whose tokens would be taken as a client's */
  refuseUntold(issuer: string): void {
    if (this.verifier.providers.some(({ config }) => config.issuer === issuer && config.serviceTokens)) return;
    throw new DomainError(
      'invalid',
      'invalid_input',
      'No client of this issuer can be a service: it is none of the providers, or nothing says how its clients are told.',
      'Set OIDC_SERVICE_TOKENS, or serviceTokens of that provider in OIDC_PROVIDERS; docs/services.md says to what.',
    );
  }
}

/** Both names were verified, and neither is a secret. */
const unknownClient = ({ issuer, clientId }: VerifiedClient): DomainError =>
  new DomainError(
    'forbidden',
    'unknown_client',
    `No service is the client ${clientId} of ${issuer}.`,
    'Have an administrator set it as the client of a service: PATCH /v1/services/{id}.',
  );
