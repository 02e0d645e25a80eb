import { Inject, Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { v7 } from 'uuid';
import { AuditService } from '../audit/audit.service.js';
import type { DriftFinding as Row, Prisma } from '../generated/prisma/client.js';
import { systemActor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { isId } from '../platform/page.js';
import { Database, type Tx } from '../platform/state/database.js';
import { nameOf, type Finding, type Repair } from './drift-finding.js';
import { insertFindings, markRepaired, peopleOf } from './drift.queries.js';
import type { Look } from './drift-target.js';
import type { ReconcileJob } from './grants.queries.js';

/** What a finding's row holds beside its columns. */
export interface Details {
  message: string;
  remedy: string;
  repairable: boolean;
  login: string | null;
  grantId: string | null;
  /** ISO text; absent while no repair was begun. */
  repairedAt?: string;
}

/** IAM policies that are to be taken off, after the intent is on record. */
export type Detach = Extract<Repair, { how: 'detach' }>;

/** Milliseconds after a repair was begun until it is looked at what came of it; IAM takes some seconds to agree with itself. */
const AGAIN_MS = 15_000;
/** Logins repaired after one look; the others have their turn at the next. */
const REPAIRS = 500;

/** What looks for drift found, from the first sighting to the last. Both are on record, and what was done between them. */
@Injectable()
export class DriftRecord {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly audit: AuditService,
    private readonly jobs: Jobs,
  ) {}

  /** Writes down one look, and begins the repairs where the mode says so, in one transaction. */
  write(look: Look): Promise<Detach[]> {
    return this.db.tx(async (tx) => {
      const { targetId } = look;
      const where = { resolvedAt: null, ...(targetId !== null && { targetId }) };
      const open = new Map((await tx.driftFinding.findMany({ where })).map((row) => [keyOf(row), row]));
      const seen = new Set(look.findings.map(keyOf));
      const born = await this.found(
        tx,
        look.findings.filter((finding) => !open.has(keyOf(finding))),
      );
      await this.still(tx, look.findings, open);
      await this.over(
        tx,
        [...open.values()].filter((row) => !seen.has(keyOf(row)) && look.covers(row)),
      );
      if (look.at && targetId !== null)
        await tx.target.update({ where: { id: targetId }, data: { lookedAt: look.at } });
      return this.settings.drift.mode === 'repair'
        ? this.repair(tx, look, new Map<string, Known>([...open, ...born]))
        : [];
    });
  }

  private async found(tx: Tx, fresh: readonly Located[]): Promise<Map<string, Known>> {
    const now = this.clock.now();
    const people = await peopleOf(
      tx,
      fresh.flatMap(({ login }) => login ?? []),
    );
    const rows = fresh.map((finding) => ({
      ...{ id: v7(), targetId: finding.targetId, kind: finding.kind, subject: finding.subject },
      details: detailsOf(finding),
    }));
    await insertFindings(tx, rows, now);
    await this.audit.appendAll(
      tx,
      systemActor('drift', randomUUID()),
      fresh.map((finding) => ({
        ...{ action: 'drift.found', targetId: finding.targetId, subjectId: people.get(finding.login ?? '') },
        ...{ grantId: grantOf(finding.grantId) },
        details: {
          ...{ kind: finding.kind, subject: finding.subject, message: finding.message, remedy: finding.remedy },
          mode: this.settings.drift.mode,
        },
      })),
    );
    return new Map(rows.map((row) => [keyOf(row), row]));
  }

  /** The words may have changed: another count, another end. */
  private async still(tx: Tx, findings: readonly Located[], open: ReadonlyMap<string, Row>): Promise<void> {
    const now = this.clock.now();
    const ids: string[] = [];
    for (const finding of findings) {
      const row = open.get(keyOf(finding));
      if (!row) continue;
      ids.push(row.id);
      const before = detailsIn(row);
      if (before.message === finding.message && before.remedy === finding.remedy) continue;
      const details = { ...before, ...detailsOf(finding) } as unknown as Prisma.InputJsonObject;
      await tx.driftFinding.update({ where: { id: row.id }, data: { details } });
    }
    await tx.driftFinding.updateMany({ where: { id: { in: ids } }, data: { lastSeenAt: now } });
  }

  private async over(tx: Tx, rows: readonly Row[]): Promise<void> {
    const now = this.clock.now();
    const people = await peopleOf(
      tx,
      rows.flatMap((row) => detailsIn(row).login ?? []),
    );
    for (const resolution of ['repaired', 'gone'] as const) {
      const those = rows.filter((row) => resolutionOf(row) === resolution);
      const where = { id: { in: those.map(({ id }) => id) } };
      await tx.driftFinding.updateMany({ where, data: { resolvedAt: now, resolution } });
    }
    await this.audit.appendAll(
      tx,
      systemActor('drift', randomUUID()),
      rows.map((row) => {
        const { login, grantId } = detailsIn(row);
        return {
          ...{ action: 'drift.resolved', targetId: row.targetId, subjectId: people.get(login ?? '') },
          grantId: grantOf(grantId),
          details: { kind: row.kind, subject: row.subject, resolution: resolutionOf(row), foundAt: row.foundAt },
        };
      }),
    );
  }

  /** On the one path: a reconcile of each login concerned, enqueued with the note that it was. */
  private async repair(tx: Tx, { findings, again }: Look, rows: ReadonlyMap<string, Known>): Promise<Detach[]> {
    const logins = new Map<string, { targetId: string; login: string }>();
    const detach: Detach[] = [];
    const begun: Known[] = [];
    for (const finding of findings) {
      const { repair, targetId } = finding;
      const row = rows.get(keyOf(finding));
      if (!repair || !row) continue;
      if (repair.how === 'detach') detach.push(repair);
      else {
        const key = `${targetId}/${repair.login}`;
        if (!logins.has(key) && logins.size >= REPAIRS) continue;
        logins.set(key, { targetId, login: repair.login });
      }
      begun.push(row);
    }
    const jobs = [...logins.values()].map((login) => ({
      data: { ...login, repair: true as const } satisfies ReconcileJob,
    }));
    await this.jobs.enqueueAll(tx, 'reconcile', jobs);
    // only what is repaired for the first time: a repair that does not help is not looked at again and again
    if (begun.some((row) => detailsIn(row).repairedAt === undefined))
      await this.jobs.enqueue(tx, 'drift', again, new Date(Date.now() + AGAIN_MS));
    await markRepaired(
      tx,
      begun.map(({ id }) => id),
      this.clock.now(),
    );
    return detach;
  }
}

type Located = Finding & { targetId: string };

/** A finding that has a row. */
interface Known {
  id: string;
  details: unknown;
}

const keyOf = (of: { targetId: string; kind: string; subject: string }): string => `${of.targetId} ${nameOf(of)}`;

/** Written by nobody else: the column is ours. */
export const detailsIn = (row: { details: unknown }): Details => row.details as Details;

const detailsOf = ({ message, remedy, repair, login, grantId }: Finding): Details => ({
  ...{ message, remedy, repairable: repair !== null, login, grantId },
});

const resolutionOf = (row: Row): 'repaired' | 'gone' => (detailsIn(row).repairedAt === undefined ? 'gone' : 'repaired');

/** What a target calls a grant may be anything. */
const grantOf = (id: string | null): string | undefined => (id !== null && isId(id) ? id : undefined);
