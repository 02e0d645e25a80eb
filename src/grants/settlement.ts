import { Injectable } from '@nestjs/common';
import { AuditService } from '../audit/audit.service.js';
import { Clock } from '../platform/clock.js';
import type { DomainError } from '../platform/errors.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { Database, type Tx } from '../platform/state/database.js';
import type { Settlement } from './conclusion.js';
import type { Work } from './convergence-part.js';
import type { GrantRow } from './grant.js';
import type { ReconcileJob } from './grants.queries.js';
import { GrantRecord } from './ledger.js';
import { backoff, type CloseReason } from './lifecycle.js';
import { sessionsEnded, tellEnded, type Book } from './settlement-book.js';

/** No try follows another sooner, whatever is known of when it will succeed. */
const SOON_MS = 250;

/** Writes down what a round has reached, all in one transaction; what was not is tried again, for ever. */
@Injectable()
export class GrantSettlement {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly audit: AuditService,
    private readonly jobs: Jobs,
  ) {}

  async settle(works: readonly Work[], found: ReadonlyMap<string, Settlement>): Promise<void> {
    await this.db.tx(async (tx) => {
      const record = new GrantRecord(this.audit);
      const book: Book = { tx, now: this.clock.now(), record, waiting: new Map(), ended: sessionsEnded(works, found) };
      const cases = works.flatMap(({ login, grants }) => {
        const of = found.get(login);
        return of ? grants.map((grant) => ({ grant, of })) : [];
      });
      await inOrder(tx, cases);
      await over(
        book,
        cases.filter(({ grant }) => grant.state === 'closing'),
      );
      for (const targetId of left(cases)) await this.jobs.enqueue(tx, 'leave-target', { targetId });
      await active(
        book,
        cases.filter(({ grant }) => grant.state === 'opening'),
      );
      for (const { grant, of } of cases) {
        if (grant.state === 'opening' && !of.opened.has(grant.id)) await this.notOpened(book, grant, of);
        if (grant.state === 'active') await this.live(book, grant, of);
      }
      await this.again(book, found);
      for (const { grant } of cases) tellEnded(book, grant); // of those that are not over yet
      await record.write(tx);
    });
  }

  private async notOpened(book: Book, grant: GrantRow, found: Settlement): Promise<void> {
    const hopeless = found.hopeless.get(grant.id);
    // an end that came while it was being opened is no refusal: the next round finds the grant expired
    if (!hopeless || grant.endsAt <= book.now) {
      book.waiting.set(grant, whyNot(grant, found));
      return;
    }
    if (!(await this.end(book, grant, 'could not be opened', hopeless))) return;
    // the plan was a promise: what the target would give by now is for those to see who agreed to it
    if (hopeless.code === 'plan_changed') await this.jobs.enqueue(book.tx, 'ask-again', { requestId: grant.requestId });
  }

  /** A grant that lives: as it should be, with its end moved, or given no more by the target. */
  private async live(book: Book, grant: GrantRow, found: Settlement): Promise<void> {
    if (found.opened.has(grant.id)) await confirmed(book, grant);
    else if (found.withdrawn.has(grant.id))
      await this.end(book, grant, 'withdrawn by the target', found.refused.get(grant.id));
    else if (!(await this.keptShorter(book, grant, found))) book.waiting.set(grant, whyNot(grant, found));
  }

  /** More time that the target refuses for ever is taken back here: what is said and what is given are one. */
  private async keptShorter({ tx, record }: Book, grant: GrantRow, found: Settlement): Promise<boolean> {
    const [refusal, endsAt] = [found.hopeless.get(grant.id), found.ends.get(grant.id)];
    if (!refusal || !endsAt || endsAt >= grant.endsAt) return false;
    // at the very moment that the target has it; that it was moved again meanwhile is another round's work
    const where = { id: grant.id, state: 'active' as const, endsAt: grant.endsAt };
    const { count } = await tx.grant.updateMany({
      where,
      data: { endsAt, nextAttemptAt: new Date(), lastError: refusal.message.slice(0, 500) },
    });
    if (count === 0) return true;
    const { targetId, login } = grant;
    const details = { message: refusal.message, advice: refusal.advice, asked: grant.endsAt, endsAt };
    record.add(grant, 'grant.fault', { outcome: 'failed', code: refusal.code, details });
    await this.jobs.enqueue(tx, 'reconcile', { targetId, login } satisfies ReconcileJob);
    await this.jobs.enqueue(tx, 'reconcile', { targetId, login } satisfies ReconcileJob, endsAt);
    return true;
  }

  /** False when it was ended by somebody else meanwhile: that ending stands, and its own job follows. */
  private async end(book: Book, grant: GrantRow, reason: CloseReason, why: DomainError | undefined): Promise<boolean> {
    const { tx, now, record } = book;
    const message = why?.message.slice(0, 500) ?? null;
    const data = {
      state: 'closing',
      closingSince: now,
      closeReason: reason,
      lastError: message,
      nextAttemptAt: null,
    } as const;
    const { count } = await tx.grant.updateMany({ where: { id: grant.id, state: grant.state }, data });
    if (count === 0) return false;
    record.add(grant, 'grant.closing', {
      outcome: 'failed',
      code: why?.code,
      details: { reason, message: message ?? 'the target gives it no more', advice: why?.advice },
    });
    await this.jobs.enqueue(tx, 'reconcile', { targetId: grant.targetId, login: grant.login } satisfies ReconcileJob);
    return true;
  }

  /** One try a login: of several grants the one that failed least often says when. */
  private async again({ tx, waiting }: Book, found: ReadonlyMap<string, Settlement>): Promise<void> {
    for (const [login, grants] of Map.groupBy(waiting.keys(), (grant) => grant.login)) {
      const attempts = Math.min(...grants.map((grant) => grant.attempts)) + 1;
      const inMs = Math.min(
        backoff(attempts, Math.random()),
        Math.max(found.get(login)?.leftForMs ?? Infinity, SOON_MS),
      );
      const nextAttemptAt = new Date(Date.now() + inMs);
      for (const grant of grants)
        await tx.grant.updateMany({
          where: { id: grant.id, state: grant.state },
          data: { attempts: { increment: 1 }, lastError: waiting.get(grant)?.slice(0, 500) ?? null, nextAttemptAt },
        });
      const [{ targetId } = { targetId: '' }] = grants;
      const job: ReconcileJob = { targetId, login, retryAt: nextAttemptAt.toISOString() };
      await this.jobs.enqueue(tx, 'reconcile', job, nextAttemptAt);
    }
  }
}

interface Case {
  grant: GrantRow;
  of: Settlement;
}

/** All rows first, in the order in which everybody takes them: two rounds that share some never wait in a circle. */
async function inOrder(tx: Tx, cases: readonly Case[]): Promise<void> {
  const ids = cases.map(({ grant }) => grant.id);
  await tx.$queryRaw`SELECT 1 FROM access_grant WHERE id = ANY (${ids}::uuid[]) ORDER BY id FOR UPDATE`;
}

/** Those that were being ended: over, each verified by the second look; the others wait. */
async function over(book: Book, cases: readonly Case[]): Promise<void> {
  const { tx, now, waiting } = book;
  for (const { grant, of } of cases) if (!of.closed.has(grant.id)) waiting.set(grant, whyNot(grant, of));
  const done = new Map(cases.filter(({ grant, of }) => of.closed.has(grant.id)).map((one) => [one.grant.id, one]));
  const never = [...done.values()].filter(({ grant }) => neverOpened(grant)).map(({ grant }) => grant.id);
  const ids = [...done.keys()].filter((id) => !never.includes(id));
  const [state, closing] = [{ closedAt: now, nextAttemptAt: null }, { state: 'closing' as const }];
  const select = { id: true } as const;
  const ended = [
    ...(await tx.grant.updateManyAndReturn({
      where: { id: { in: ids }, ...closing },
      data: { ...state, state: 'closed', lastError: null },
      select,
    })),
    ...(await tx.grant.updateManyAndReturn({
      where: { id: { in: never }, ...closing },
      data: { ...state, state: 'failed' },
      select,
    })),
  ];
  for (const { id } of ended) {
    const { grant, of } = done.get(id) ?? {};
    if (grant && of) told(book, grant, of);
  }
}

function told(book: Book, grant: GrantRow, found: Settlement): void {
  const { record } = book;
  if (found.fenced.has(grant.id))
    record.add(grant, 'grant.fenced', {
      details: { login: grant.login, iamPolicyDetached: found.detached.has(grant.id) },
    });
  tellEnded(book, grant);
  record.add(grant, neverOpened(grant) ? 'grant.failed' : 'grant.closed', {
    details: {
      reason: grant.closeReason,
      verified:
        'no lease, no right to log in or to a group beyond those of other live grants; no session unless one lives',
    },
  });
}

/** Targets that are being removed and had something closed on them: it may have been the last. */
const left = (cases: readonly Case[]): Set<string> =>
  new Set(
    cases
      .filter(({ grant, of }) => grant.target.removingAt !== null && of.closed.has(grant.id))
      .map(({ grant }) => grant.targetId),
  );

/** Those that were being opened, and now give access. */
async function active({ tx, now, record }: Book, cases: readonly Case[]): Promise<void> {
  const open = new Map(cases.filter(({ grant, of }) => of.opened.has(grant.id)).map(({ grant }) => [grant.id, grant]));
  if (open.size === 0) return;
  // revoked while it was being opened: the ending stands, and its own job follows
  const opened = await tx.grant.updateManyAndReturn({
    where: { id: { in: [...open.keys()] }, state: 'opening' },
    data: { state: 'active', openedAt: now, attempts: 0, lastError: null, nextAttemptAt: null },
    select: { id: true, endsAt: true },
  });
  for (const { id } of opened) {
    const grant = open.get(id);
    if (grant) record.add(grant, 'grant.active', { details: { login: grant.login, endsAt: grant.endsAt } });
  }
  // the target holds the end of when this round began: one that was moved since is still due, whatever becomes of its job
  const moved = opened.filter(({ id, endsAt }) => open.get(id)?.endsAt.getTime() !== endsAt.getTime());
  if (moved.length > 0)
    await tx.grant.updateMany({
      where: { id: { in: moved.map(({ id }) => id) } },
      data: { nextAttemptAt: new Date() },
    });
}

/** The target holds the end that the grant had when this round began; one that was moved since is still due. */
async function confirmed({ tx }: Book, grant: GrantRow): Promise<void> {
  if (grant.nextAttemptAt === null && grant.lastError === null) return;
  const { id, endsAt } = grant;
  const data = { attempts: 0, lastError: null, nextAttemptAt: null };
  await tx.grant.updateMany({ where: { id, state: 'active', endsAt }, data });
}

const neverOpened = ({ openedAt, closeReason }: GrantRow): boolean =>
  openedAt === null && closeReason === 'could not be opened';

const whyNot = (grant: GrantRow, found: Settlement): string =>
  found.refused.get(grant.id)?.message ??
  (found.left.length > 0 ? found.left.join('; ') : 'the target does not give it yet');
