import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import {
  DeleteRolePolicyCommand,
  DeleteUserPolicyCommand,
  GetAccountSummaryCommand,
  GetRoleCommand,
  GetRolePolicyCommand,
  GetUserCommand,
  GetUserPolicyCommand,
  IAMClient,
  ListRolePoliciesCommand,
  ListUserPoliciesCommand,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam';
import { DomainError } from '../platform/errors.js';
import { askAws, awsFault, isNoSuchEntity } from './aws-fault.js';
import { RegionalClients } from './clients.js';
import { AWS_CONFIG, type AwsConfig } from './config.js';
import { countedLength, type PolicyDocument } from './connect-policy.js';
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
  readonly principalArn: string;
  /** Starts with `usher-`, at most 128 of `[\w+=,.@-]`. */
  readonly policyName: string;
}

/**
 * Attached mode: one scoped inline policy per grant on a person's IAM user or role. Uses Usher's own credentials, so the
 * principal must be in Usher's own account; a principal of the same name there is told from it by its ARN.
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
    const PolicyDocument = JSON.stringify(put.document);
    const PolicyName = put.policyName;
    await this.#ask(principal, 'Put', 'Policy', async (client) => {
      await (principal.kind === 'user'
        ? client.send(new PutUserPolicyCommand({ UserName: principal.name, PolicyName, PolicyDocument }))
        : client.send(new PutRolePolicyCommand({ RoleName: principal.name, PolicyName, PolicyDocument })));
    });
  }

  /** Takes the policy off. A policy or principal that is not there is done. */
  async deleteScopedPolicy(remove: ScopedPolicy): Promise<void> {
    refusePolicyName(remove.policyName);
    const principal = parsePrincipal(remove.principalArn);
    const PolicyName = remove.policyName;
    try {
      await this.#verify(principal);
      await this.#client(principal).send(
        principal.kind === 'user'
          ? new DeleteUserPolicyCommand({ UserName: principal.name, PolicyName })
          : new DeleteRolePolicyCommand({ RoleName: principal.name, PolicyName }),
      );
    } catch (thrown) {
      if (!isNoSuchEntity(thrown)) throw awsFault(thrown, call(principal, 'Delete', 'Policy'));
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
    await this.#ask(principal, 'Get', '', () => this.#verify(principal));
    const [quota, names] = await Promise.all([this.#quota(principal), this.#policyNames(principal)]);
    const others = names.filter((name) => name !== ask.policyName);
    let used = 0;
    for (const name of others) used += countedLength(await this.#document(principal, name));
    const needed = countedLength(JSON.stringify(ask.document));
    if (used + needed <= quota) return { quota, used, needed };
    throw new DomainError(
      'invalid',
      'policy_too_large',
      `The policy needs ${needed} characters, but ${ask.principalArn} has ${Math.max(0, quota - used)} of ${quota} left (${others.length} inline policies use ${used}).`,
      principal.kind === 'user'
        ? 'End a grant, remove inline policies of the user, name an IAM role (10,240 characters) or ask for session mode.'
        : 'End a grant, remove inline policies of the role, or ask for session mode.',
    );
  }

  /** Names of Usher's own inline policies on the principal, sorted; other policies are left out. */
  async listScopedPolicies(principalArn: string): Promise<string[]> {
    const principal = parsePrincipal(principalArn);
    await this.#ask(principal, 'Get', '', () => this.#verify(principal));
    return (await this.#policyNames(principal)).filter((name) => name.startsWith(SCOPED_POLICY_PREFIX)).sort();
  }

  onApplicationShutdown(): void {
    this.#clients.forEach((client) => client.destroy());
  }

  /**
   * IAM's calls take a bare name, so the ARN is compared: the same name in Usher's account may be somebody else.
   * Throws NoSuchEntity of the SDK as it is.
   */
  async #verify(principal: Principal): Promise<void> {
    const client = this.#client(principal);
    const found =
      principal.kind === 'user'
        ? (await client.send(new GetUserCommand({ UserName: principal.name }))).User?.Arn
        : (await client.send(new GetRoleCommand({ RoleName: principal.name }))).Role?.Arn;
    if (found === principal.arn) return;
    throw new DomainError(
      'invalid',
      'invalid_input',
      `${principal.arn} is not the ${principal.kind} of that name in the account of Usher's own credentials.`,
      'Check account id and path of the ARN; for principals of other accounts ask for session mode.',
    );
  }

  async #quota(principal: Principal): Promise<number> {
    const on = `account ${principal.accountId}`;
    const answer = await askAws({ action: 'iam:GetAccountSummary', on }, () =>
      this.#client(principal).send(new GetAccountSummaryCommand({})),
    );
    const map: Readonly<Record<string, number>> = answer.SummaryMap ?? {};
    return principal.kind === 'user' ? (map['UserPolicySizeQuota'] ?? 2_048) : (map['RolePolicySizeQuota'] ?? 10_240);
  }

  async #policyNames(principal: Principal): Promise<string[]> {
    const names: string[] = [];
    let Marker: string | undefined;
    do {
      const page = await this.#ask(principal, 'List', 'Policies', (client) =>
        principal.kind === 'user'
          ? client.send(new ListUserPoliciesCommand({ UserName: principal.name, Marker }))
          : client.send(new ListRolePoliciesCommand({ RoleName: principal.name, Marker })),
      );
      names.push(...(page.PolicyNames ?? []));
      Marker = page.IsTruncated ? page.Marker : undefined;
    } while (Marker !== undefined);
    return names;
  }

  /** The document as JSON; IAM answers it percent-encoded (RFC 3986). */
  async #document(principal: Principal, PolicyName: string): Promise<string> {
    const answer = await this.#ask(principal, 'Get', 'Policy', (client) =>
      principal.kind === 'user'
        ? client.send(new GetUserPolicyCommand({ UserName: principal.name, PolicyName }))
        : client.send(new GetRolePolicyCommand({ RoleName: principal.name, PolicyName })),
    );
    return decodeURIComponent(answer.PolicyDocument ?? '');
  }

  #client(principal: Principal): IAMClient {
    return this.#clients.in(iamRegion(principal.partition));
  }

  async #ask<T>(principal: Principal, verb: string, noun: string, send: (client: IAMClient) => Promise<T>): Promise<T> {
    return await askAws(call(principal, verb, noun), () => send(this.#client(principal)));
  }
}

const call = (principal: Principal, verb: string, noun: string) => ({
  action: `iam:${verb}${principal.kind === 'user' ? 'User' : 'Role'}${noun}`,
  on: principal.arn,
});

const refusePolicyName = (name: string): void => {
  if (POLICY_NAME.test(name)) return;
  throw new DomainError('invalid', 'invalid_input', `Usher's policies are named ${SCOPED_POLICY_PREFIX}<grant>.`);
};
