import { Injectable } from '@nestjs/common';
import { connectPolicy } from '../aws/connect-policy.js';
import { IamService, type ScopedPolicyText } from '../aws/iam.service.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { Database } from '../platform/state/database.js';
import { compared, settledBefore, type Finding } from './drift-finding.js';
import { policyDrift, type AttachedGrant, type PolicyFound } from './drift-policies.js';
import type { Look } from './drift-target.js';
import { arnOf, GrantPolicies } from './policies.service.js';

/** Principals read at the same time: IAM answers an account's calls at a low rate, and opening grants comes first. */
const PARALLEL = 4;

const attached = { ...compared, targetId: true, target: true } as const;

/** Compares the policies of Usher's name on IAM principals with the store. */
@Injectable()
export class PolicyLook {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly iam: IamService,
    private readonly written: GrantPolicies,
  ) {}

  /** A principal that cannot be read is a finding, where a grant says that it should carry a policy. */
  async at(principals: readonly string[]): Promise<Look> {
    const since = this.clock.now();
    const { found, unread } = await this.read(principals);
    const rows = await this.grants(principals, since);
    const now = this.clock.now();
    const readable = principals.filter((arn) => !unread.has(arn));
    const grants = rows.flatMap(toCompare);
    const targetOf = await this.targets(rows);
    const findings = policyDrift({ principals: readable, found, grants, targetOf }, since, now);
    const away = [...unread].flatMap(([arn, error]) => unreadable(arn, error, rows));
    const covers = coversOf(new Set(readable));
    return {
      targetId: null,
      at: now,
      findings: [...findings, ...away],
      covers,
      again: { principals: [...principals] },
    };
  }

  /**
   * Makes the principal what its live grants say: what belongs to none of them is taken off.
   * Where AWS fails the finding stays open, and the next look tries again.
   */
  async detach(principalArn: string): Promise<void> {
    try {
      await this.written.tidy(principalArn);
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
    }
  }

  private async read(
    principals: readonly string[],
  ): Promise<{ found: PolicyFound[]; unread: Map<string, DomainError> }> {
    const [found, unread] = [[] as PolicyFound[], new Map<string, DomainError>()];
    const waiting = [...principals];
    const reader = async (): Promise<void> => {
      for (let arn = waiting.shift(); arn !== undefined; arn = waiting.shift())
        try {
          found.push(...(await this.iam.readScopedPolicies(arn)).flatMap(usersIn));
        } catch (error) {
          if (!(error instanceof DomainError)) throw error;
          unread.set(arn, error);
        }
    };
    await Promise.all(Array.from({ length: PARALLEL }, reader));
    return { found, unread };
  }

  /** Read after IAM was. */
  private grants(principals: readonly string[], since: Date) {
    const over = { state: { in: ['closed' as const, 'failed' as const] } };
    const here = { mode: 'attached' as const, principalArn: { in: [...principals] } };
    const counts = [{ NOT: over }, { ...over, closedAt: { gte: settledBefore(since) } }];
    return this.db.client.grant.findMany({
      where: { ...here, OR: counts },
      select: attached,
      orderBy: { id: 'asc' },
    });
  }

  /** By the database that is named, if that is one of ours; what names none is told with the grants of its principal. */
  private async targets(rows: readonly Row[]): Promise<(policy: PolicyFound) => string | undefined> {
    const targets = await this.db.client.target.findMany({
      where: { deletedAt: null },
      select: { id: true, resourceId: true },
    });
    return ({ policyName, principalArn }) =>
      policyName.startsWith('arn:')
        ? targets.find(({ resourceId }) => policyName.includes(`dbuser:${resourceId}/`))?.id
        : rows.findLast((row) => row.principalArn === principalArn)?.targetId;
  }
}

/** One finding a database user: policies hold many, and move them among themselves. */
function usersIn({ principalArn, policyName, document, arns, edited }: ScopedPolicyText): PolicyFound[] {
  if (arns.length === 0) return [{ principalArn, policyName, document }];
  return arns.map((arn) => ({
    ...{ principalArn, policyName: arn },
    document: edited ? document : JSON.stringify(connectPolicy([arn])),
  }));
}

type Row = Awaited<ReturnType<PolicyLook['grants']>>[number];

/** A target whose data make no policy is left to the reconcile, which says so. */
function toCompare(row: Row): AttachedGrant[] {
  const { target, ...grant } = row;
  if (grant.mode !== 'attached') return [];
  try {
    const arn = arnOf({ target, login: grant.login });
    return [{ ...grant, policyName: arn, document: connectPolicy([arn]) }];
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return [];
  }
}

function unreadable(arn: string, error: DomainError, rows: readonly Row[]): (Finding & { targetId: string })[] {
  const grant = rows.findLast(({ principalArn }) => principalArn === arn);
  if (!grant) return [];
  const words = { message: `${arn} could not be read: ${error.message}`, remedy: error.advice ?? 'It is tried again.' };
  const about = { repair: null, login: null, grantId: grant.id, targetId: grant.targetId };
  return [{ kind: 'unreachable', subject: arn, ...words, ...about }];
}

const coversOf =
  (readable: ReadonlySet<string>) =>
  ({ kind, subject }: { kind: string; subject: string }): boolean =>
    kind.startsWith('policy_')
      ? readable.has(subject.split(' ')[0] ?? '')
      : kind === 'unreachable' && readable.has(subject);
