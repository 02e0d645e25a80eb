import { Injectable } from '@nestjs/common';
import type { DriftFinding as Row, Prisma } from '../generated/prisma/client.js';
import type { PersonActor, Reader } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { readPage, toPage } from '../platform/page.js';
import { Database } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import { visibility } from '../policy/visibility.js';
import { TargetsService } from '../targets/targets.service.js';
import type {
  DriftFinding,
  DriftFindingPage,
  DriftKind,
  DriftLook,
  DriftQuery,
  DriftResolution,
} from './drift.contract.js';
import { principals } from './drift.queries.js';
import { detailsIn } from './drift-record.js';
import { DriftSweep } from './drift-sweep.js';

/** Open findings that one answer lists, newest first. */
const SHOWN = 1_000;

/** What looks for drift found, as people may read it; and a look at once. */
@Injectable()
export class DriftService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly targets: TargetsService,
    private readonly sweep: DriftSweep,
  ) {}

  /** Findings on targets that this person's groups own, or all; drift is nobody's own. */
  async list(actor: Reader, query: DriftQuery): Promise<DriftFindingPage> {
    const scopes = this.policy.visible(actor, 'viewDrift');
    const { all, targetIds } = await visibility(actor, scopes, (groups) => this.targets.ownedBy(groups));
    const { before, take, limit } = readPage(query);
    const wanted: Prisma.DriftFindingWhereInput = {
      ...(query.target !== undefined && { targetId: query.target }),
      ...(query.kind !== undefined && { kind: query.kind }),
      ...(query.open !== undefined && { resolvedAt: query.open ? null : { not: null } }),
    };
    const seen = all ? {} : { targetId: { in: [...targetIds] } };
    const rows = await this.db.client.driftFinding.findMany({
      where: { AND: [seen, wanted, before === undefined ? {} : { id: { lt: before } }] },
      orderBy: { id: 'desc' },
      take,
    });
    return toPage(rows, limit, present);
  }

  /**
   * Looks at a target now, and at the IAM principals of its grants. What is repaired then is the business of the mode.
   * @throws DomainError `policy_denied`, `target_not_found`; a target that cannot be looked at is a finding
   */
  async look(actor: PersonActor, id: string): Promise<DriftLook> {
    this.policy.authorize(actor, 'administerTargets');
    const target = await this.targets.row(this.db.client, id);
    await this.sweep.target(target.id);
    await this.sweep.principals(await principals(this.db.client, this.clock.now(), target.id));
    const where = { targetId: target.id, resolvedAt: null };
    const [rows, { lookedAt }] = await Promise.all([
      this.db.client.driftFinding.findMany({ where, orderBy: { id: 'desc' }, take: SHOWN }),
      this.targets.row(this.db.client, id),
    ]);
    return { targetId: target.id, lookedAt, findings: rows.map(present) };
  }
}

function present(row: Row): DriftFinding {
  const { message, remedy, repairable, login, grantId, repairedAt } = detailsIn(row);
  return {
    id: row.id,
    targetId: row.targetId,
    kind: row.kind as DriftKind,
    subject: row.subject,
    message,
    remedy,
    repairable,
    login,
    grantId,
    repairedAt: repairedAt === undefined ? null : new Date(repairedAt),
    foundAt: row.foundAt,
    lastSeenAt: row.lastSeenAt,
    resolvedAt: row.resolvedAt,
    resolution: row.resolution as DriftResolution | null,
  };
}
