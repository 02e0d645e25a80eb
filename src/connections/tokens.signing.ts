import { Inject, Injectable } from '@nestjs/common';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { SignerService, type MintedToken } from '../aws/signer.service.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { DomainError } from '../platform/errors.js';
import { TargetAccess } from '../targets/target-access.service.js';
import { signingHost, type SigningHost } from './signing-host.js';
import type { Mintable } from './tokens.queries.js';
import type { Way } from './way-in.js';

export interface SignedToken extends MintedToken {
  /** What it was signed for. */
  readonly signedFor: SigningHost;
  /** Of the session whose keys signed it: what RDS asks IAM about. */
  readonly principalArn: string;
}

const LOOPBACK = /^https?:\/\/(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?:[:/]|$)/;

/** Signs for the people of live grants, and not faster than a target can take it. */
@Injectable()
export class TokenSigning {
  private readonly rate: RateLimiterMemory;
  private readonly standIn: boolean;

  constructor(
    @Inject(SETTINGS) settings: Settings,
    private readonly access: TargetAccess,
    private readonly signer: SignerService,
  ) {
    this.rate = new RateLimiterMemory({ points: settings.tokensPerSecond, duration: 1 });
    this.standIn = LOOPBACK.test(settings.aws.endpointUrl ?? '');
  }

  /** @throws DomainError `host_not_signable`: nothing was asked or counted */
  hostFor(target: Mintable['target'], endpoint: Way): SigningHost {
    return signingHost(target, endpoint, this.standIn);
  }

  /**
   * RDS takes fewer than 200 new IAM logins in a second (RDS User Guide, "Recommendations for IAM database authentication"), and
   * throttles everybody's beyond that. Counted by target in windows of a second, in this process alone.
   * @throws DomainError `too_many_tokens`
   */
  async count(targetId: string): Promise<void> {
    try {
      await this.rate.consume(targetId);
    } catch (error) {
      if (!(error instanceof RateLimiterRes)) throw error;
      throw new DomainError(
        'quota',
        'too_many_tokens',
        `This target gets ${this.rate.points} tokens in a second at most.`,
        'A token opens any number of connections for 15 minutes: use one for all of a pool.',
        { retryAfterSeconds: Math.max(1, Math.ceil(error.msBeforeNext / 1_000)) },
      );
    }
  }

  /** @throws DomainError `aws_denied`, `aws_unavailable` */
  async sign(grant: Mintable, signedFor: SigningHost, person: string): Promise<SignedToken> {
    const { target, login } = grant;
    const tags = {
      ...{ 'usher:grant': grant.id, 'usher:request': grant.requestId, 'usher:person': person },
      ...(grant.ticket && { 'usher:ticket': grant.ticket }),
    };
    const session = { login, sessionName: person, sourceIdentity: person, tags };
    const { credentials, principalArn } = await this.access.signingSession(target, session);
    const minted = await this.signer.mintToken({ ...signedFor, region: target.region, user: login, credentials });
    return { ...minted, signedFor, principalArn };
  }
}
