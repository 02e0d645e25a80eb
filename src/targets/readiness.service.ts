import { Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { RdsService } from '../aws/rds.service.js';
import type { Actor } from '../platform/actor.js';
import { DomainError } from '../platform/errors.js';
import { Database } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import { Looks } from './looks.js';
import { overall, readinessOf } from './readiness.js';
import type { IamAuthentication, Readiness, ReadinessVerdict } from './readiness.contract.js';
import { ReadinessReader } from './readiness-reader.js';
import { refuseRemoving } from './target.js';
import { TargetsService } from './targets.service.js';

/** Whether a target is fit for its use, and the one setting that Usher may put right. Six collaborators: it decides, reads, records and changes. */
@Injectable()
export class ReadinessService {
  private readonly looks = new Looks<Readiness>();

  constructor(
    private readonly db: Database,
    private readonly policy: PolicyService,
    private readonly audit: AuditService,
    private readonly targets: TargetsService,
    private readonly reader: ReadinessReader,
    private readonly rds: RdsService,
  ) {}

  /**
   * Looks now: nothing is kept, and many who ask at once share a look. The rights of the broker are tried on the target and
   * rolled back, which takes some hundred statements there.
   * @throws DomainError `policy_denied`, `invalid_id`, `target_not_found`
   */
  async get(actor: Actor, id: string): Promise<Readiness> {
    this.policy.authorize(actor, 'viewReadiness');
    const row = await this.targets.row(this.db.client, id);
    return this.looks.at(row.id, () => this.look(row.id));
  }

  /**
   * Switches IAM database authentication on, at once and without a restart; nothing happens where it is on. On record before
   * AWS is asked, and again if AWS refuses.
   * @throws DomainError `policy_denied`, `target_not_found`, `target_removing`, `invalid_input` for a proxy, `database_missing`,
   *   `account_not_registered`, `aws_denied`, `aws_unavailable`
   */
  async enableIamAuthentication(actor: Actor, id: string): Promise<IamAuthentication> {
    this.policy.authorize(actor, 'enableIamAuthentication');
    const row = await this.targets.row(this.db.client, id);
    refuseRemoving(row);
    if (row.kind === 'rds-proxy')
      throw new DomainError(
        'invalid',
        'invalid_input',
        'IAM authentication of the database behind a proxy is not switched on through the proxy.',
        'Register the database itself as a target, and switch it on there.',
      );
    const found = await this.reader.database(row);
    if (found === undefined)
      throw new DomainError(
        'conflict',
        'database_missing',
        `RDS tells of no ${row.resourceId} in ${row.accountId}, ${row.region}.`,
        'It was deleted, or the register names another place: run discovery.',
      );
    if (found.iamAuthentication) return { targetId: row.id, changed: false };
    const { database } = found;
    await this.note(actor, row.id, database.identifier, 'success');
    try {
      await this.rds.enableIamAuthentication(row, database);
    } catch (error) {
      const code = error instanceof DomainError ? error.code : undefined;
      await this.note(actor, row.id, database.identifier, 'failed', code);
      throw error;
    }
    return { targetId: row.id, changed: true };
  }

  private async look(id: string): Promise<Readiness> {
    const row = await this.targets.row(this.db.client, id);
    const facts = await this.reader.read(row);
    const items = readinessOf(facts);
    return {
      targetId: row.id,
      lookedAt: facts.now,
      verdict: overall(items) as ReadinessVerdict,
      items: items.map((item) => ({ ...item, verdict: item.verdict as ReadinessVerdict })),
    };
  }

  private note(actor: Actor, targetId: string, database: string, outcome: 'success' | 'failed', code?: string) {
    const entry = { action: 'target.iamAuthentication', targetId, outcome, code, details: { database } } as const;
    return this.db.tx((tx) => this.audit.append(tx, actor, entry));
  }
}
