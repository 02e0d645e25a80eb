import type { Clock } from '../platform/clock.js';
import { amazonRootsOfNode, checkBundle, fetchBundle, readBundle, type CheckedBundle } from './trust-bundle.js';
import { AMAZON_TRUST, bundleFile, bundleFor, type TrustOverrides } from './trust.js';

export interface TrustStoreOptions {
  readonly overrides?: TrustOverrides | undefined;
  /** Milliseconds for a fetch, answer included. */
  readonly timeoutMs?: number | undefined;
  /** The last good bundle of that name where Usher mirrors them, in place of a fetch. */
  readonly mirrored?: ((name: string) => Promise<CheckedBundle>) | undefined;
}

const FRESH_MS = 24 * 3_600_000;

/** The CA certificates for Usher's own connections to targets: loaded once per region, checked, kept for 24 hours. */
export class TrustStore {
  readonly #bundles = new Map<string, CheckedBundle>();
  readonly #loading = new Map<string, Promise<CheckedBundle>>();
  #builtIn: CheckedBundle | undefined;

  constructor(
    private readonly options: TrustStoreOptions,
    private readonly clock: Clock,
  ) {}

  /**
   * The certificates that sign the region's servers. When a refresh fails, those of before still serve: roots live for
   * decades, and an unreachable bundle must not cut off closing a grant.
   * @throws DomainError unavailable/`target_untrusted`; invalid/`unknown_region` | `unknown_partition`
   */
  async forRegion(partition: string, region: string): Promise<CheckedBundle> {
    const { pemUrl } = bundleFor(partition, region, this.options.overrides);
    return this.#kept(region, pemUrl);
  }

  /**
   * Amazon Trust Services, for RDS Proxy and Serverless v1: from Node's own roots, narrower than all public ones, unless the
   * operator configured others.
   * @throws DomainError unavailable/`target_untrusted`
   */
  async amazonTrust(): Promise<CheckedBundle> {
    const configured = this.options.overrides?.[AMAZON_TRUST];
    if (configured) return this.#kept(AMAZON_TRUST, configured.pem);
    if (this.#builtIn) return this.#builtIn;
    this.#builtIn = checkBundle(amazonRootsOfNode(), 'node', this.clock.now());
    return this.#builtIn;
  }

  async #kept(name: string, url: string): Promise<CheckedBundle> {
    const known = this.#bundles.get(name);
    if (known && this.clock.now().getTime() - known.loadedAt.getTime() < FRESH_MS) return known;
    const loading = this.#loading.get(name) ?? this.#load(name, url);
    this.#loading.set(name, loading);
    try {
      return await loading;
    } catch (thrown) {
      if (known) return known;
      throw thrown;
    } finally {
      this.#loading.delete(name);
    }
  }

  async #load(name: string, url: string): Promise<CheckedBundle> {
    const { overrides = {}, timeoutMs, mirrored } = this.options;
    const file = bundleFile(name, overrides);
    const bundle =
      file === undefined && mirrored
        ? await mirrored(name)
        : checkBundle(
            file === undefined ? await fetchBundle(url, timeoutMs) : await readBundle(file),
            file ?? url,
            this.clock.now(),
          );
    this.#bundles.set(name, bundle);
    return bundle;
  }
}
