import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { GetAccountSummaryCommand, IAMClient } from '@aws-sdk/client-iam';
import { DomainError } from '../platform/errors.js';
import { askAws, awsFault, type AwsCall, isNoSuchEntity } from './aws-fault.js';
import { RegionalClients } from './clients.js';
import { AWS_CONFIG, type AwsConfig } from './config.js';
import { countedLength, type PolicyDocument } from './connect-policy.js';
import { type InlinePolicies, inlinePolicies } from './inline-policies.js';
import { iamRegion, parsePrincipal, type Principal } from './principal.js';

/** Every inline policy of Usher's starts so; no other is ever written or deleted. */
export const SCOPED_POLICY_PREFIX = 'usher-';
const POLICY_NAME = /^usher-[\w+=,.@-]{1,122}$/;

/** Room on a principal, in IAM's own counting: characters of all its inline policies without white space. */
export interface PolicyRoom {
  readonly quota: number;
  /** By other inline policies than the one to be written. */
  readonly used: number;
  readonly needed: number;
}

export interface ScopedPolicy {
  /** A user or role, with its path. */
  readonly principalArn: string;
  /** Starts with `usher-`, at most 128 of `[\w+=,.@-]`. */
  readonly policyName: string;
}

/**
 * Attached mode: one scoped inline policy per grant on a person's IAM user or role. Uses Usher's own credentials, so the
 * principal must be in Usher's own account; one of the same name in another account is told apart by its ARN.
 * IAM is eventually consistent: seconds to a minute until a change is felt.
 */
@Injectable()
export class IamService implements OnApplicationShutdown {
  readonly #clients: RegionalClients<IAMClient>;

  constructor(@Inject(AWS_CONFIG) config: AwsConfig) {
    this.#clients = new RegionalClients(config, (settings) => new IAMClient(settings));
  }

  /**
   * Writes (or replaces) the policy; refuses before anything is written if it does not fit.
   * @throws DomainError invalid/`policy_too_large` | `mode_not_supported` | `invalid_input`, unavailable/`aws_denied` | `aws_unavailable`
   */
  async putScopedPolicy(put: ScopedPolicy & { readonly document: PolicyDocument }): Promise<void> {
    refusePolicyName(put.policyName);
    await this.fits(put);
    const principal = parsePrincipal(put.principalArn);
    const document = JSON.stringify(put.document);
    await askAws(call(principal, 'Put{}Policy'), () => this.#policies(principal).put(put.policyName, document));
  }

  /** Takes the policy off. A policy or principal that is not there is done. */
  async deleteScopedPolicy(remove: ScopedPolicy): Promise<void> {
    refusePolicyName(remove.policyName);
    const principal = parsePrincipal(remove.principalArn);
    const policies = this.#policies(principal);
    try {
      const found = await policies.arn();
      // Another path is the same user or role, moved since the policy was put on it. Another account is a stranger.
      if (found?.split(':')[4] !== principal.accountId) throw stranger(principal);
      await policies.remove(remove.policyName);
    } catch (thrown) {
      if (!isNoSuchEntity(thrown)) throw awsFault(thrown, call(principal, 'Delete{}Policy'));
    }
  }

  /**
   * Reads the principal's inline policies and the account's quota; writes nothing.
   * @param ask.policyName a policy that `document` would replace: its present size is not counted
   * @throws DomainError invalid/`policy_too_large` with the numbers
   */
  async fits(ask: {
    readonly principalArn: string;
    readonly document: PolicyDocument;
    readonly policyName?: string | undefined;
  }): Promise<PolicyRoom> {
    const principal = parsePrincipal(ask.principalArn);
    const policies = await this.#verified(principal);
    const [quota, names] = await Promise.all([this.#quota(principal), allNames(principal, policies)]);
    const others = names.filter((name) => name !== ask.policyName);
    let used = 0;
    for (const name of others) used += await sizeOf(principal, policies, name);
    const needed = countedLength(JSON.stringify(ask.document));
    if (used + needed > quota) throw tooLarge(principal, { quota, used, needed }, others.length);
    return { quota, used, needed };
  }

  /** Names of Usher's own inline policies on the principal, sorted; other policies are left out. */
  async listScopedPolicies(principalArn: string): Promise<string[]> {
    const principal = parsePrincipal(principalArn);
    const names = await allNames(principal, await this.#verified(principal));
    return names.filter((name) => name.startsWith(SCOPED_POLICY_PREFIX)).sort();
  }

  onApplicationShutdown(): void {
    this.#clients.forEach((client) => client.destroy());
  }

  /** IAM's calls take a bare name, so the ARN is compared: the same name in Usher's own account may be somebody else. */
  async #verified(principal: Principal): Promise<InlinePolicies> {
    const policies = this.#policies(principal);
    const found = await askAws(call(principal, 'Get{}'), () => policies.arn());
    if (found !== principal.arn) throw stranger(principal);
    return policies;
  }

  async #quota(principal: Principal): Promise<number> {
    const on = `account ${principal.accountId}`;
    const answer = await askAws({ action: 'iam:GetAccountSummary', on }, () =>
      this.#client(principal).send(new GetAccountSummaryCommand({})),
    );
    const map: Readonly<Record<string, number>> = answer.SummaryMap ?? {};
    return principal.kind === 'user' ? (map['UserPolicySizeQuota'] ?? 2_048) : (map['RolePolicySizeQuota'] ?? 10_240);
  }

  #policies(principal: Principal): InlinePolicies {
    return inlinePolicies(this.#client(principal), principal);
  }

  #client(principal: Principal): IAMClient {
    return this.#clients.in(iamRegion(principal.partition));
  }
}

/** @param name the IAM action with `{}` for User or Role */
const call = (principal: Principal, name: string): AwsCall => ({
  action: `iam:${name.replace('{}', principal.kind === 'user' ? 'User' : 'Role')}`,
  on: principal.arn,
});

const allNames = async (principal: Principal, policies: InlinePolicies): Promise<string[]> => {
  const names: string[] = [];
  let marker: string | undefined;
  do {
    const from = marker;
    const page = await askAws(call(principal, 'List{}Policies'), () => policies.page(from));
    names.push(...(page.PolicyNames ?? []));
    marker = page.IsTruncated ? page.Marker : undefined;
  } while (marker !== undefined);
  return names;
};

/** Zero for a policy that went away between the listing and the reading. */
const sizeOf = async (principal: Principal, policies: InlinePolicies, name: string): Promise<number> => {
  try {
    return countedLength(decodeURIComponent((await policies.encodedDocument(name)) ?? ''));
  } catch (thrown) {
    if (isNoSuchEntity(thrown)) return 0;
    throw awsFault(thrown, call(principal, 'Get{}Policy'));
  }
};

const tooLarge = ({ arn, kind }: Principal, { quota, used, needed }: PolicyRoom, others: number): DomainError =>
  new DomainError(
    'invalid',
    'policy_too_large',
    `The policy needs ${needed} characters, but ${arn} has ${Math.max(0, quota - used)} of ${quota} left: its ${others} other inline policies use ${used}.`,
    kind === 'user'
      ? 'End a grant, remove inline policies of the user, name an IAM role instead (its quota is five times as large), or ask for session mode.'
      : 'End a grant, remove inline policies of the role, or ask for session mode.',
  );

const stranger = ({ arn, kind }: Principal): DomainError =>
  new DomainError(
    'invalid',
    'invalid_input',
    `${arn} is not the ${kind} of that name in the account of Usher's own credentials.`,
    'Check account id and path of the ARN; for a principal of another account ask for session mode.',
  );

const refusePolicyName = (name: string): void => {
  if (POLICY_NAME.test(name)) return;
  throw new DomainError('invalid', 'invalid_input', `Usher's policies are named ${SCOPED_POLICY_PREFIX}<grant>.`);
};
