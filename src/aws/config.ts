import type { Secret } from '../platform/secret.js';

/** Injection token of {@link AwsConfig}; the application provides it, see `AwsModule.configure`. */
export const AWS_CONFIG = Symbol('AWS_CONFIG');

/** How Usher reaches AWS. Credentials are not here: they come from the SDK's default provider chain. */
export interface AwsConfig {
  /** One address for every AWS API, for a stand-in or a VPC endpoint. Undefined: AWS' own endpoints. */
  readonly endpointUrl?: string | undefined;
  /** Networks that are not public and that an account's own addresses may lead into, as CIDR. None when left out. */
  readonly outboundNetworks?: readonly string[] | undefined;
  /** Region whose STS is asked who Usher itself is. Undefined: that of whatever is asked for. */
  readonly region?: string | undefined;
  /** Attempts per call, the first included. Default 5. */
  readonly maxAttempts?: number | undefined;
  /** Milliseconds for one attempt; connecting may take a third of it. Default 10,000. */
  readonly timeoutMs?: number | undefined;
  /** Name (with path, without leading slash) of the role assumed in a target's account to sign login tokens. */
  readonly connectRoleName: string;
  /** External id that the connect roles' trust policies ask for. */
  readonly externalId?: Secret | undefined;
  /** Seconds that a connect session lives, 900 to 3,600: role chaining allows no more. Default 3,600. */
  readonly connectSeconds?: number | undefined;
  /** Whether connect sessions carry tags. Default false: without sts:TagSession in the trust policy STS refuses them. */
  readonly sessionTags?: boolean | undefined;
  /** Sessions for people in one account and region in a second; AWS' own quota for STS is 600. Default 100. */
  readonly stsPerSecond?: number | undefined;
  /** The only directory `file:` secret references may point into. Undefined: such references are refused. */
  readonly secretsDirectory?: string | undefined;
  /** Reads one environment variable; `platform` supplies it. Undefined: `env:` references are refused. */
  readonly env?: ((name: string) => string | undefined) | undefined;
}
