import { Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import { AuditService } from '../audit/audit.service.js';
import { AccountDoorService } from '../aws/account-door.service.js';
import { parsePrincipal } from '../aws/principal.js';
import type { AwsAccount as Row, Prisma } from '../generated/prisma/client.js';
import type { Actor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { DomainError, type FieldProblem } from '../platform/errors.js';
import { asId } from '../platform/page.js';
import { brokenUnique, Database, type Tx } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import type {
  Account,
  AccountCheck,
  AccountEndpoints,
  AccountOption,
  AccountVerdict,
  CheckAccount,
  CreateAccount,
  UpdateAccount,
} from './accounts.contract.js';
import { changesOf } from './target.js';
import { TrustService } from './trust.service.js';

/** The register of AWS accounts. Six collaborators: every change is decided, recorded and felt at once. */
@Injectable()
export class AccountsService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly audit: AuditService,
    private readonly door: AccountDoorService,
    private readonly trust: TrustService,
  ) {}

  /** @throws DomainError `policy_denied`, `invalid_input`, `unknown_region`, `unknown_partition`, `name_taken` */
  async create(actor: Actor, input: CreateAccount): Promise<Account> {
    this.policy.authorize(actor, 'administerAccounts');
    this.refuse(input);
    const now = this.clock.now();
    const data = { id: v7(), ...input, endpoints: { ...input.endpoints }, createdAt: now, updatedAt: now };
    return this.change(async (tx) => {
      const row = await tx.awsAccount.create({ data }).catch(taken);
      const { id, externalId: _never, createdAt: _now, updatedAt: _too, ...details } = row;
      await this.audit.append(tx, actor, { action: 'account.create', details: { ...details, id } });
      return present(row);
    });
  }

  /** By name; all of them, since they are few. */
  async list(actor: Actor): Promise<Account[]> {
    this.policy.authorize(actor, 'viewAccounts');
    return (await this.db.client.awsAccount.findMany({ orderBy: { name: 'asc' } })).map(present);
  }

  async get(actor: Actor, id: string): Promise<Account> {
    this.policy.authorize(actor, 'viewAccounts');
    return present(await find(this.db.client, id));
  }

  /** @throws DomainError `policy_denied`, `account_not_found`, `invalid_input`, `unknown_region`, `name_taken` */
  async update(actor: Actor, id: string, input: UpdateAccount): Promise<Account> {
    this.policy.authorize(actor, 'administerAccounts');
    return this.change(async (tx) => {
      const before = await lock(tx, id);
      const { clear = [], ...given } = input;
      const { endpoints, externalId, ...plain } = { ...given, ...cleared(clear, given) };
      const { regions = before.regions, brokerRoleArn = before.brokerRoleArn } = plain;
      const { accountId, partition } = before;
      this.refuse({ accountId, partition, regions, brokerRoleArn, endpoints });
      const data: Prisma.AwsAccountUpdateInput = {
        ...plain,
        ...(externalId !== undefined && { externalId }),
        ...(endpoints && { endpoints: { ...endpoints } }),
        updatedAt: this.clock.now(),
      };
      const row = await tx.awsAccount.update({ where: { id: before.id }, data }).catch(taken);
      const secret = externalId !== undefined && { externalId: externalId === null ? 'removed' : 'replaced' };
      const moved = endpoints !== undefined && { endpoints: { from: before.endpoints, to: endpoints } }; // who is believed for AWS
      const changed = { ...changesOf(before, plain), ...moved, ...secret };
      await this.audit.append(tx, actor, {
        action: 'account.update',
        details: { id: row.id, name: row.name, changed },
      });
      return present(row);
    });
  }

  /** @throws DomainError `account_in_use` while targets there are registered: their access could not be ended any more */
  async delete(actor: Actor, id: string): Promise<Account> {
    this.policy.authorize(actor, 'administerAccounts');
    return this.change(async (tx) => {
      const row = await lock(tx, id);
      const { accountId, partition, name } = row;
      const targets = await tx.target.count({ where: { accountId, partition, deletedAt: null } });
      if (targets > 0)
        throw new DomainError(
          'conflict',
          'account_in_use',
          `${targets} targets in the account ${accountId} are registered.`,
          'Delete them first: without the account nothing on them could be ended.',
        );
      await tx.awsAccount.delete({ where: { id: row.id } });
      await this.audit.append(tx, actor, { action: 'account.delete', details: { id: row.id, name, accountId } });
      return present(row);
    });
  }

  /**
   * Enters the account and tries what Usher needs there; changes nothing.
   * @throws DomainError `policy_denied`, `account_not_found`, `invalid_input` for a principal of another account
   */
  async check(actor: Actor, id: string, { principalArn: person }: CheckAccount): Promise<AccountCheck> {
    this.policy.authorize(actor, 'administerAccounts');
    const row = await find(this.db.client, id);
    if (person !== undefined) refuseStranger(person, row);
    const { principalArn, items } = await this.door.check(row, person);
    return {
      accountId: row.accountId,
      principalArn,
      items: items.map((item) => ({ ...item, verdict: item.verdict as AccountVerdict })),
    };
  }

  private async change<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    try {
      return await this.db.tx(work);
    } finally {
      this.door.forget();
    }
  }

  private refuse(account: Fitting & { regions: readonly string[] }): void {
    for (const region of account.regions) this.trust.bundle(account.partition, region);
    const fields = problems(account, (address) => this.door.refusalOf(address));
    if (fields.length > 0)
      throw new DomainError('invalid', 'invalid_input', 'The account does not fit together.', fields[0]?.message, {
        fields,
      });
  }
}

/** @throws DomainError `invalid_input` for what is given and taken away at once */
function cleared(clear: readonly AccountOption[], given: UpdateAccount): Partial<Record<AccountOption, null>> {
  const fields = clear.filter((field) => given[field] !== undefined);
  if (fields.length > 0)
    throw new DomainError('invalid', 'invalid_input', `${fields.join()} cannot be set and taken away at once.`);
  return Object.fromEntries(clear.map((field) => [field, null]));
}

/** @throws DomainError `invalid_input`, `mode_not_supported` */
function refuseStranger(arn: string, { partition, accountId }: Row): void {
  const principal = parsePrincipal(arn);
  if (principal.partition === partition && principal.accountId === accountId) return;
  throw new DomainError(
    'invalid',
    'invalid_input',
    `${arn} is not of this account.`,
    `Name a user or role of ${accountId} (${partition}).`,
  );
}

interface Fitting {
  partition: string;
  accountId: string;
  brokerRoleArn?: string | null | undefined;
  endpoints?: object | undefined;
}

/** @param refusalOf why AWS may not be asked at an address */
function problems(
  { partition, accountId, brokerRoleArn, endpoints }: Fitting,
  refusalOf: (address: string) => string | undefined,
): FieldProblem[] {
  const found: FieldProblem[] = [];
  if (brokerRoleArn && !brokerRoleArn.startsWith(`arn:${partition}:iam::${accountId}:role/`))
    found.push({
      field: 'brokerRoleArn',
      message: `The broker role is one of the account itself: arn:${partition}:iam::${accountId}:role/…`,
    });
  for (const [service, address] of Object.entries(endpoints ?? {})) {
    if (typeof address !== 'string') continue;
    const refusal = refusalOf(address);
    if (refusal !== undefined)
      found.push({ field: `endpoints.${service}`, message: `The address of ${service} ${refusal}.` });
  }
  return found;
}

/** @throws DomainError `invalid_id`, `account_not_found` */
async function find(db: Tx, id: string): Promise<Row> {
  const row = await db.awsAccount.findUnique({ where: { id: asId(id, 'account id') } });
  if (row) return row;
  throw new DomainError(
    'not_found',
    'account_not_found',
    'There is no such account.',
    'GET /v1/accounts lists them; {id} is the id of the registration, not the 12 digits.',
  );
}

async function lock(tx: Tx, id: string): Promise<Row> {
  await tx.$queryRaw`SELECT 1 FROM aws_account WHERE id = ${asId(id, 'account id')}::uuid FOR UPDATE`;
  return find(tx, id);
}

const taken = (error: unknown): never => {
  const index = brokenUnique(error);
  if (index === undefined) throw error;
  const what = /partition|account_id|accountId/.test(index) ? 'This account' : 'This name';
  throw new DomainError('conflict', 'name_taken', `${what} is registered already.`, 'GET /v1/accounts lists what is.');
};

/** What goes out: field by field, and never the external id. */
const present = (row: Row): Account => {
  const {
    rds = null,
    iam = null,
    sts = null,
    secretsmanager = null,
    logs = null,
  } = row.endpoints as Partial<AccountEndpoints>;
  return {
    id: row.id,
    accountId: row.accountId,
    name: row.name,
    partition: row.partition,
    brokerRoleArn: row.brokerRoleArn,
    hasExternalId: row.externalId !== null,
    connectRole: row.connectRole,
    regions: row.regions,
    endpoints: { rds, iam, sts, secretsmanager, logs },
    enabled: row.enabled,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
  };
};
