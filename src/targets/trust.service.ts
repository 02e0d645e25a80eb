import { Inject, Injectable } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import type { Actor } from '../platform/actor.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { PolicyService } from '../policy/policy.service.js';
import type { TrustBundle } from './trust.contract.js';
import { bundleFor, bundleOf, bundles } from './trust.js';
import { tlsAdvice, type TlsAdvice, type TlsQuestion } from './trust-advice.js';
import { TrustStore, type CheckedBundle } from './trust-store.js';

/** Which authority signs which endpoint, and where its certificates stand. */
@Injectable()
export class TrustService {
  private readonly store: TrustStore;

  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
  ) {
    this.store = new TrustStore({ overrides: settings.trustOverrides }, clock);
  }

  list(actor: Actor): TrustBundle[] {
    this.policy.authorize(actor, 'viewTrust');
    return bundles(this.settings.trustOverrides);
  }

  /** @throws DomainError `unknown_region` */
  get(actor: Actor, region: string): TrustBundle {
    this.policy.authorize(actor, 'viewTrust');
    return bundleOf(region, this.settings.trustOverrides);
  }

  /** @throws DomainError `unknown_region`, `unknown_partition` */
  bundle(partition: string, region: string): TrustBundle {
    return bundleFor(partition, region, this.settings.trustOverrides);
  }

  /** How a client must verify an endpoint. */
  advice(question: Omit<TlsQuestion, 'overrides' | 'now'>): TlsAdvice {
    return tlsAdvice({ ...question, overrides: this.settings.trustOverrides, now: this.clock.now() });
  }

  /**
   * The certificates that Usher itself trusts for a region.
   * @throws DomainError `target_untrusted` when they cannot be had
   */
  certificates(partition: string, region: string): Promise<CheckedBundle> {
    return this.store.forRegion(partition, region);
  }
}
