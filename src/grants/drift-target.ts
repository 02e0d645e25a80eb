import { Injectable } from '@nestjs/common';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { Database } from '../platform/state/database.js';
import type { Survey, TargetSession } from '../postgres/postgres.contract.js';
import { TargetAccess } from '../targets/target-access.service.js';
import { writable, type TargetRow } from '../targets/target.js';
import { drift, type Store } from './drift.js';
import { compared, settledBefore, type Finding } from './drift-finding.js';
import { peopleOf, type DriftDue } from './drift.queries.js';

/** What one look found, and of what it can say so. */
export interface Look {
  /** The target that was looked at; null for a look at IAM, which is about many. */
  targetId: string | null;
  /** When it was looked at; null when it could not be. */
  at: Date | null;
  findings: (Finding & { targetId: string })[];
  /** A finding of this kind and subject would have been seen: one that was not is over. */
  covers: (finding: { kind: string; subject: string }) => boolean;
  /** The same look once more. */
  again: DriftDue;
}

/** Compares one target with the store. */
@Injectable()
export class TargetLook {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly access: TargetAccess,
  ) {}

  /** A session to look with, or why there is none. */
  async reach(target: TargetRow): Promise<TargetSession | DomainError> {
    try {
      return await this.access.writer(target, 'observe');
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      return error;
    }
  }

  /** One statement on the target. What cannot be looked at is a finding of its own: silence would look like peace. */
  async at(target: TargetRow, session: TargetSession | DomainError): Promise<Look> {
    const since = this.clock.now();
    const away = unreachable(target);
    const about = { targetId: target.id, again: { targetId: target.id, again: true } } as const;
    try {
      if (session instanceof DomainError) throw session;
      const moving = await this.moving(target.id);
      const survey = await session.survey();
      const store = await this.store(target.id, survey, since, moving);
      const now = this.clock.now();
      const findings = drift(survey, store, since, now);
      // the rest is PolicyLook's; an address that the target no longer has was seen last when it had it
      const covers = ({ kind, subject }: { kind: string; subject: string }): boolean =>
        !kind.startsWith('policy_') && !subject.startsWith('arn:');
      return { ...about, at: now, findings: findings.map((finding) => ({ ...finding, targetId: target.id })), covers };
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      const last = target.lookedAt === null ? 'It was never looked at.' : `Last seen ${target.lookedAt.toISOString()}.`;
      const words = { message: `${error.message} ${last}`, remedy: error.advice ?? 'It is tried again.' };
      return {
        ...about,
        at: null,
        findings: [{ ...away, ...words, targetId: target.id }],
        covers: ({ kind, subject }) => kind === away.kind && subject === away.subject,
      };
    }
  }

  private async store(targetId: string, { logins }: Survey, since: Date, moving: ReadonlySet<string>): Promise<Store> {
    const over = { state: { in: ['closed' as const, 'failed' as const] } };
    const [grants, people, profiles] = await Promise.all([
      this.db.client.grant.findMany({
        where: { targetId, OR: [{ NOT: over }, { ...over, closedAt: { gte: settledBefore(since) } }] },
        select: compared,
      }),
      peopleOf(
        this.db.client,
        logins.map(({ login }) => login),
      ),
      this.db.client.profile.findMany({ where: { targetId, createsRoles: true }, select: { name: true } }),
    ]);
    const withEnds = grants.map((grant) => (moving.has(grant.id) ? { ...grant, nextAttemptAt: since } : grant));
    return { grants: withEnds, people, creatingRoles: new Set(profiles.map(({ name }) => name)) };
  }

  /** Grants whose end was moved and has not arrived: read before the look as well, it may arrive during it. */
  private async moving(targetId: string): Promise<ReadonlySet<string>> {
    const where = { targetId, state: 'active' as const, nextAttemptAt: { not: null } };
    return new Set((await this.db.client.grant.findMany({ where, select: { id: true } })).map(({ id }) => id));
  }
}

const unreachable = (target: TargetRow): Finding => {
  const endpoint = writable(target.endpoints);
  return {
    kind: 'unreachable',
    subject: endpoint ? `${endpoint.connectHost}:${endpoint.port}` : target.name,
    message: '',
    remedy: '',
    repair: null,
    login: null,
    grantId: null,
  };
};
