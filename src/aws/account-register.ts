import { Injectable } from '@nestjs/common';
import { Database } from '../platform/state/database.js';

/** The AWS services whose address an account may have of its own. */
export const addressedServices = ['rds', 'iam', 'sts', 'secretsmanager', 'logs'] as const;
export type AddressedService = (typeof addressedServices)[number];

/** One AWS account as an administrator registered it. */
export interface RegisteredAccount {
  readonly id: string;
  readonly accountId: string;
  readonly name: string;
  readonly partition: string;
  /** Role that Usher assumes there; null: Usher's own credentials are used. */
  readonly brokerRoleArn: string | null;
  /** What the trust policies there ask for. Not to be shown or logged. */
  readonly externalId: string | null;
  readonly connectRole: string | null;
  /** Where discovery looks. */
  readonly regions: readonly string[];
  readonly endpoints: Readonly<Partial<Record<AddressedService, string>>>;
  /** false: discovery leaves it out; what is registered there works on. */
  readonly enabled: boolean;
}

/** Reads the register of accounts; `targets` writes it. */
@Injectable()
export class AccountRegister {
  constructor(private readonly db: Database) {}

  async all(): Promise<readonly RegisteredAccount[]> {
    const rows = await this.db.client.awsAccount.findMany({ orderBy: [{ partition: 'asc' }, { accountId: 'asc' }] });
    return rows.map((row) => ({ ...row, endpoints: row.endpoints as RegisteredAccount['endpoints'] }));
  }
}
