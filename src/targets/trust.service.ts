import { Inject, Injectable } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import type { Actor } from '../platform/actor.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { PolicyService } from '../policy/policy.service.js';
import { presentAuthorities, presentBundle, presentPartition } from './trust-present.js';
import type { TrustAuthority, TrustBundle, TrustMirror, TrustPartition } from './trust.contract.js';
import { AMAZON_TRUST, bundleFor, bundleOf, bundles, globalBundles } from './trust.js';
import { tlsAdvice, tlsQuestion, type TlsAdvice, type TrustedEndpoint, type TrustedTarget } from './trust-advice.js';
import type { CheckedBundle } from './trust-bundle.js';
import { TrustMirrorService } from './trust-mirror.service.js';
import { TrustStore } from './trust-store.js';

/** Which authority signs which endpoint, and where its certificates stand. */
@Injectable()
export class TrustService {
  private readonly store: TrustStore;

  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly mirrors: TrustMirrorService,
  ) {
    const mirrored = mirrors.isOn ? (name: string) => mirrors.forUsher(name) : undefined;
    this.store = new TrustStore({ overrides: settings.trustOverrides, mirrored }, clock);
  }

  list(actor: Actor): TrustBundle[] {
    this.policy.authorize(actor, 'viewTrust');
    return bundles(this.settings.trustOverrides).map(presentBundle);
  }

  /** @throws DomainError `unknown_region` */
  get(actor: Actor, region: string): TrustBundle {
    this.policy.authorize(actor, 'viewTrust');
    return presentBundle(bundleOf(region, this.settings.trustOverrides));
  }

  partitions(actor: Actor): TrustPartition[] {
    this.policy.authorize(actor, 'viewTrust');
    return Object.keys(globalBundles).map(presentPartition);
  }

  /** @throws DomainError `unknown_partition` */
  partition(actor: Actor, partition: string): TrustPartition {
    this.policy.authorize(actor, 'viewTrust');
    return presentPartition(partition);
  }

  authorities(actor: Actor): TrustAuthority[] {
    this.policy.authorize(actor, 'viewTrust');
    return presentAuthorities();
  }

  /** Bundles that are mirrored, and how that goes. */
  mirror(actor: Actor): Promise<TrustMirror[]> {
    this.policy.authorize(actor, 'viewTrust');
    return this.mirrors.list();
  }

  /** Refuses a place whose servers could not be verified. @throws DomainError `unknown_region`, `unknown_partition` */
  bundle(partition: string, region: string): void {
    bundleFor(partition, region, this.settings.trustOverrides);
  }

  /** How the server at an endpoint of a target is verified, by clients and by Usher itself. */
  advice(target: TrustedTarget, endpoint: TrustedEndpoint): TlsAdvice {
    const { trustOverrides: overrides } = this.settings;
    const advice = tlsAdvice({ ...tlsQuestion(target, endpoint), overrides, now: this.clock.now() });
    const mirror = this.mirrors.urlOf(advice.authority === 'rds' ? target.region : AMAZON_TRUST);
    return mirror === undefined ? advice : { ...advice, caBundleUrl: mirror };
  }

  /**
   * The roots that Usher itself trusts at endpoints of that authority.
   * @throws DomainError `target_untrusted` when they cannot be had
   */
  roots(
    { partition, region }: Pick<TrustedTarget, 'partition' | 'region'>,
    authority: TlsAdvice['authority'],
  ): Promise<CheckedBundle> {
    return authority === 'rds' ? this.store.forRegion(partition, region) : this.store.amazonTrust();
  }
}
