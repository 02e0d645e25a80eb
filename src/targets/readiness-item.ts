import type { RdsDatabase } from '../aws/rds.service.js';
import type { RdsEngineVersion, RdsInstance } from '../aws/rds.contract.js';
import type { Proof, ServerFacts } from '../postgres/postgres.contract.js';

/**
 * `fail`: something does not work, or is not safe. `warn`: it works, and somebody should act. `unknown`: it could not be
 * looked at, and the finding says why.
 */
export type Verdict = 'pass' | 'warn' | 'fail' | 'unknown';

/** One thing that a target needs, and what mends it. */
export interface ReadinessItem {
  /** Stable, e.g. `rds.force_ssl` or `certificate orders-1`. */
  readonly item: string;
  readonly verdict: Verdict;
  readonly finding: string;
  /** The command or statement to run; null when nothing is to be done. */
  readonly remedy: string | null;
}

/** What was read, or why it could not be. */
export type Read<T> = { readonly value: T } | { readonly why: string };

/** What RDS says of the database of a target. */
export interface RdsFacts {
  readonly database: RdsDatabase;
  readonly status: string;
  readonly iamAuthentication: boolean;
  readonly engine: string;
  readonly engineVersion: string;
  readonly parameterGroup: string | null;
  readonly instances: readonly RdsInstance[];
  /** What the engine version allows; undefined when RDS does not know the version any more. */
  readonly version: RdsEngineVersion | undefined;
}

/** Of the register. */
export interface ReadinessTarget {
  readonly id: string;
  readonly region: string;
  readonly brokerLogin: string;
  /** The broker signs tokens; else it has a password. */
  readonly brokerByIam: boolean;
  readonly masterUser: string | null;
}

export interface ReadinessFacts {
  readonly now: Date;
  readonly target: ReadinessTarget;
  readonly rds: Read<RdsFacts>;
  /** Values that the parameter group sets. */
  readonly parameters: Read<ReadonlyMap<string, string>>;
  readonly server: Read<ServerFacts>;
  readonly proofs: Read<readonly Proof[]>;
}

export const pass = (item: string, finding: string): ReadinessItem => ({
  item,
  verdict: 'pass',
  finding,
  remedy: null,
});
export const bad = (
  item: string,
  verdict: 'warn' | 'fail',
  finding: string,
  remedy: string | null = null,
): ReadinessItem => ({ item, verdict, finding, remedy });
export const unknown = (item: string, why: string): ReadinessItem => ({
  item,
  verdict: 'unknown',
  finding: why,
  remedy: null,
});
