import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { GetAccountSummaryCommand, IAMClient, SimulatePrincipalPolicyCommand } from '@aws-sdk/client-iam';
import { Clock, SystemClock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { RecentlyUsed } from '../platform/recently-used.js';
import { AccountClients, AwsAccounts } from './accounts.js';
import { askAws } from './aws-fault.js';
import { pack } from './packing.js';
import { documentSize, readDocument, type OwnPolicy } from './packing-slot.js';
import type { Packing, PackingQuotas, PrincipalPolicies } from './packing-task.js';
import { iamRegion, parsePrincipal, type Principal } from './principal.js';
import { PoliciesOfPrincipal } from './principal-policies.js';

/** What a principal is to reach. */
export interface Reach {
  /** A user or role, with its path. */
  readonly principalArn: string;
  /** ARNs of database users: these, and by Usher's policies no others. */
  readonly desired: readonly string[];
}

/** One of Usher's own policies that is effective. */
export interface ScopedPolicyText {
  readonly principalArn: string;
  readonly policyName: string;
  /** JSON, as it was last written by whomever. */
  readonly document: string;
  /** ARNs of the database users that it names. */
  readonly arns: readonly string[];
  /** It is not as Usher writes it. */
  readonly edited: boolean;
}

/** What IAM says of one login; `unknown` where Usher may not ask. */
export type Probed = 'allowed' | 'implicitDeny' | 'explicitDeny' | 'unknown';

const QUOTAS_MS = 5 * 60_000;
const MOST_ACCOUNTS = 1_000;

/**
 * Attached mode: the policies of Usher's own on a person's IAM user or role, in Usher's own account or one that is
 * registered with a broker role; one of the same name in another account is told apart by its ARN.
 * Who writes must see to it that nobody else writes to the same principal meanwhile.
 * IAM is eventually consistent: seconds to a minute until a change is felt.
 */
@Injectable()
export class IamService implements OnApplicationShutdown {
  readonly #clients: AccountClients<IAMClient>;
  readonly #quotas = new RecentlyUsed<{ until: number; map: Readonly<Record<string, number>> }>(MOST_ACCOUNTS);

  constructor(
    accounts: AwsAccounts,
    @Inject(Clock) private readonly clock: Pick<Clock, 'now'> = new SystemClock(),
  ) {
    this.#clients = new AccountClients(accounts, 'iam', (settings) => new IAMClient(settings));
  }

  /**
   * Makes the principal reach the desired database users by policies of Usher's, as far as they fit.
   * @param must one that has to fit: where it does not, nothing is written
   * @param most tidying is done only within so many writes in all
   * @returns how many writes that took
   * @throws DomainError invalid/`quota` | `mode_not_supported` | `invalid_input`, unavailable/`aws_denied` | `aws_unavailable`
   */
  async settle(reach: Reach, { must, most }: { must?: string; most?: number } = {}): Promise<number> {
    const principal = parsePrincipal(reach.principalArn);
    const policies = await this.#policies(principal);
    const found = await policies.arn();
    if (must === undefined && found === undefined) return 0;
    // another path is the same user or role, moved since: good enough to take something away, not to give
    if (must === undefined ? found?.split(':')[4] !== principal.accountId : found !== principal.arn)
      throw stranger(principal);
    const { writes } = await this.#packing(principal, policies, reach, { must, most });
    for (const write of writes) await policies.write(write);
    return writes.length;
  }

  /**
   * Whether `must` would fit beside the others. Reads the principal and the quotas of its account; writes nothing.
   * @throws DomainError as {@link IamService.settle}
   */
  async fits(reach: Reach, must: string): Promise<void> {
    const principal = parsePrincipal(reach.principalArn);
    const policies = await this.#policies(principal);
    if ((await policies.arn()) !== principal.arn) throw stranger(principal);
    const desired = [...new Set([...reach.desired, must])];
    await this.#packing(principal, policies, { ...reach, desired }, { must });
  }

  /**
   * Usher's own policies that are effective on the principal, with what they say; others are not shown.
   * A principal that is gone has none; one that moved to another path is still the same.
   */
  async readScopedPolicies(principalArn: string): Promise<ScopedPolicyText[]> {
    const principal = parsePrincipal(principalArn);
    const policies = await this.#policies(principal);
    const found = await policies.arn();
    if (found === undefined) return [];
    if (found.split(':')[4] !== principal.accountId) throw stranger(principal);
    const own = effective((await policies.read()).own);
    return own.map(({ name, document }) => ({ principalArn, policyName: name, document, ...readDocument(document) }));
  }

  /**
   * Asks IAM's simulator whether the principal may log in as that user. It knows the principal's policies and its
   * permissions boundary, not every service control policy: `allowed` is the most that can be known without a login.
   */
  async probe(principalArn: string, dbUserArn: string): Promise<Probed> {
    const principal = parsePrincipal(principalArn);
    const client = await this.#client(principal);
    const ask = { PolicySourceArn: principalArn, ActionNames: ['rds-db:connect'], ResourceArns: [dbUserArn] };
    try {
      const call = { action: 'iam:SimulatePrincipalPolicy', on: principalArn };
      const answer = await askAws(call, () => client.send(new SimulatePrincipalPolicyCommand(ask)));
      return answer.EvaluationResults?.[0]?.EvalDecision ?? 'implicitDeny';
    } catch (error) {
      if (error instanceof DomainError && error.code === 'aws_denied') return 'unknown';
      throw error;
    }
  }

  onApplicationShutdown(): void {
    this.#clients.destroy();
  }

  async #packing(
    principal: Principal,
    policies: PoliciesOfPrincipal,
    { desired }: Reach,
    { must, most }: { must?: string | undefined; most?: number | undefined },
  ): Promise<Packing> {
    const [quotas, found] = [await this.#quotasOf(principal), await policies.read()];
    const shardName = (number: number): string => policies.managed.name(number);
    const packing = pack({ ...found, desired, quotas, shardName, ...(most !== undefined && { most }) });
    if (must !== undefined && packing.unplaced.includes(must)) throw full(principal, found, quotas);
    return packing;
  }

  async #quotasOf(principal: Principal): Promise<PackingQuotas> {
    const map = await this.#summary(principal);
    const user = principal.kind === 'user';
    return {
      inline: user ? (map['UserPolicySizeQuota'] ?? 2_048) : (map['RolePolicySizeQuota'] ?? 10_240),
      managed: map['PolicySizeQuota'] ?? 6_144,
      versions: map['VersionsPerPolicyQuota'] ?? 5,
      attached: map[user ? 'AttachedPoliciesPerUserQuota' : 'AttachedPoliciesPerRoleQuota'] ?? 10,
    };
  }

  async #summary(principal: Principal): Promise<Readonly<Record<string, number>>> {
    const key = `${principal.partition} ${principal.accountId}`;
    const [known, now] = [this.#quotas.get(key), this.clock.now().getTime()];
    if (known && known.until > now) return known.map;
    const client = await this.#client(principal);
    const call = { action: 'iam:GetAccountSummary', on: `account ${principal.accountId}` };
    const answer = await askAws(call, () => client.send(new GetAccountSummaryCommand({})));
    const map = answer.SummaryMap ?? {};
    this.#quotas.set(key, { until: now + QUOTAS_MS, map });
    return map;
  }

  async #policies(principal: Principal): Promise<PoliciesOfPrincipal> {
    return new PoliciesOfPrincipal(await this.#client(principal), principal);
  }

  #client({ partition, accountId }: Principal): Promise<IAMClient> {
    return this.#clients.in({ partition, accountId, region: iamRegion(partition) });
  }
}

const effective = (own: readonly OwnPolicy[]): OwnPolicy[] => own.filter(({ attached }) => attached);

/** With the numbers, and every way out. */
function full({ arn, kind }: Principal, found: PrincipalPolicies, quotas: PackingQuotas): DomainError {
  const { inline, attached } = quotas;
  const ours = effective(found.own).filter(({ place }) => place === 'managed').length;
  const smallest = documentSize(1, 88);
  const role = kind === 'user' ? 'name an IAM role instead (its inline quota is five times as large), ' : '';
  return new DomainError(
    'invalid',
    'quota',
    `No room is left on ${arn} for one more database user: inline policies may have ${inline} characters, of which those of others use ${found.otherInline} (Usher's needs ${smallest} and more); ` +
      `${found.otherAttached + ours} of ${attached} managed policies are attached, ${ours} of them Usher's and full at ${quotas.managed} characters each.`,
    `End a grant, take policies off the ${kind}, ${role}have AWS raise "Managed policies attached to an IAM ${kind}" (Service Quotas), or ask for session mode, which writes no policy.`,
  );
}

const stranger = ({ arn, kind }: Principal): DomainError =>
  new DomainError(
    'invalid',
    'invalid_input',
    `${arn} is not the ${kind} of that name in the account that Usher reached.`,
    'Check account id and path of the ARN, and the broker role that is registered for the account.',
  );
