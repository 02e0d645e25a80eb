import { Inject, Injectable } from '@nestjs/common';
import { GetRoleCommand, GetUserCommand, IAMClient, SimulatePrincipalPolicyCommand } from '@aws-sdk/client-iam';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { DomainError } from '../platform/errors.js';
import { Outbound } from '../platform/outbound.js';
import { type DoorItem, forAnybody, forPerson, itemOf, type Question } from './account-questions.js';
import type { AddressedService } from './account-register.js';
import { type AccountPlace, AwsAccounts } from './accounts.js';
import { askAws, awsFault } from './aws-fault.js';
import type { ClientSettings } from './clients.js';
import { AWS_CONFIG, type AwsConfig } from './config.js';
import { iamRegion, parsePrincipal, type Principal } from './principal.js';

interface CheckedAccount {
  readonly partition: string;
  readonly accountId: string;
  readonly connectRole: string | null;
  readonly regions: readonly string[];
}

/** The register's side of the way into AWS accounts: tries one, and drops what was known when the register changed. */
@Injectable()
export class AccountDoorService {
  constructor(
    private readonly accounts: AwsAccounts,
    @Inject(AWS_CONFIG) private readonly config: AwsConfig,
  ) {}

  forget(): void {
    this.accounts.forget();
  }

  /** Why AWS may not be asked at this address, as the rest of a sentence; undefined when it may. */
  refusalOf(address: string): string | undefined {
    return new Outbound(this.config.outboundNetworks).refusalOf(address);
  }

  /**
   * Enters the account and asks IAM what Usher may do there. Changes nothing, throws for nothing that AWS refuses.
   * @param person ARN of a user or role there; left out: attached mode is not tried
   */
  async check(account: CheckedAccount, person?: string): Promise<{ principalArn: string | null; items: DoorItem[] }> {
    const { partition, accountId } = account;
    const place = { partition, accountId, region: account.regions[0] ?? this.config.region ?? iamRegion(partition) };
    try {
      const arn = await this.whoAmI(place);
      const identity = identityItem(arn, account);
      if (identity.verdict === 'fail') return { principalArn: arn, items: [identity] };
      return { principalArn: arn, items: [identity, ...(await this.permissions(place, account, arn, person))] };
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      const remedy = error.advice ?? null;
      return { principalArn: null, items: [{ name: 'identity', verdict: 'fail', finding: error.message, remedy }] };
    }
  }

  private async whoAmI(place: AccountPlace): Promise<string> {
    return this.with(
      place,
      'sts',
      (settings) => new STSClient(settings),
      async (client) => {
        const call = { action: 'sts:GetCallerIdentity', on: `account ${place.accountId}` };
        return (await askAws(call, () => client.send(new GetCallerIdentityCommand({})))).Arn ?? '';
      },
    );
  }

  private async permissions(
    place: AccountPlace,
    account: CheckedAccount,
    arn: string,
    person: string | undefined,
  ): Promise<DoorItem[]> {
    const source = policySource(arn);
    const region = iamRegion(place.partition);
    try {
      return await this.with(
        { ...place, region },
        'iam',
        (settings) => new IAMClient(settings),
        async (client) => {
          const connect = `arn:${place.partition}:iam::${place.accountId}:role/${account.connectRole ?? this.config.connectRoleName}`;
          const items = await answers(client, source, forAnybody(connect, account.regions));
          if (person === undefined) return items;
          return [...items, ...(await personItems(client, source, parsePrincipal(person)))];
        },
      );
    } catch (error) {
      const fault = awsFault(error, { action: 'iam:SimulatePrincipalPolicy', on: source });
      const finding = `What else is allowed was not tried: ${fault.message}`;
      return [{ name: 'iam:SimulatePrincipalPolicy', verdict: 'warn', finding, remedy: fault.advice ?? null }];
    }
  }

  /** A client for this one check: what was just changed in the register is what is tried. */
  private async with<C extends { destroy(): void }, T>(
    place: AccountPlace,
    service: AddressedService,
    build: (settings: ClientSettings) => C,
    work: (client: C) => Promise<T>,
  ): Promise<T> {
    const { settings } = await this.accounts.settings(place, service, 'own-credentials');
    const client = build(settings);
    try {
      return await work(client);
    } finally {
      client.destroy();
    }
  }
}

/** Asks the simulator, question by question. @throws what the SDK throws */
async function answers(client: IAMClient, source: string, questions: readonly Question[]): Promise<DoorItem[]> {
  const items: DoorItem[] = [];
  for (const { actions, on, context } of questions) {
    const ask = { PolicySourceArn: source, ActionNames: [...actions], ResourceArns: [on], ContextEntries: context };
    const { EvaluationResults = [] } = await client.send(new SimulatePrincipalPolicyCommand(ask));
    items.push(...EvaluationResults.map((answer) => itemOf(source, on, answer)));
  }
  return items;
}

/** Reads the person, too, so that one who is not there is told. */
async function personItems(client: IAMClient, source: string, person: Principal): Promise<DoorItem[]> {
  const action = person.kind === 'user' ? 'iam:GetUser' : 'iam:GetRole';
  try {
    const boundary = await askAws({ action, on: person.arn }, () => boundaryOf(client, person));
    return await answers(client, source, forPerson(person, boundary));
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return [{ name: action, verdict: 'fail', finding: error.message, remedy: error.advice ?? null }];
  }
}

/** ARN of the permissions boundary. @throws what the SDK throws */
async function boundaryOf(client: IAMClient, { kind, name }: Principal): Promise<string | undefined> {
  const person =
    kind === 'user'
      ? (await client.send(new GetUserCommand({ UserName: name }))).User
      : (await client.send(new GetRoleCommand({ RoleName: name }))).Role;
  return person?.PermissionsBoundary?.PermissionsBoundaryArn;
}

function identityItem(arn: string, { partition, accountId }: CheckedAccount): DoorItem {
  const [, inPartition, , , inAccount] = arn.split(':');
  if (inAccount === accountId && inPartition === partition)
    return { name: 'identity', verdict: 'pass', finding: `Usher is ${arn} there.`, remedy: null };
  return {
    name: 'identity',
    verdict: 'fail',
    finding: `Usher is ${arn}, which is not in the account ${accountId}.`,
    remedy: 'Register the account with a broker role that Usher may assume there.',
  };
}

/** SimulatePrincipalPolicy takes the role, not its session. A path is not in a session's ARN, so such a role is not found. */
const policySource = (arn: string): string =>
  arn.replace(/^arn:([^:]+):sts::(\d{12}):assumed-role\/([^/]+)\/.*$/, 'arn:$1:iam::$2:role/$3');
