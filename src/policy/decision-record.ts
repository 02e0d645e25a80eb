import { Injectable, type BeforeApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { InjectPinoLogger, PinoLogger } from 'nestjs-pino';
import type { Reader } from '../platform/actor.js';
import { Database } from '../platform/state/database.js';
import { insertDecisions, type NewDecision } from './policies.queries.js';
import type { Decision } from './policy.contract.js';
import { toCedar, type Question } from './question.js';

/** Written in one statement. */
const BATCH = 500;
/** Waiting at the most; what comes beyond is dropped and counted. */
const ROOM = 5_000;
/** Of one person or service: while the database is slow, one who asks much must not keep out what others ask. */
const SHARE = 500;
const FLUSH_MS = 1_000;

interface Kept {
  readonly person: Reader;
  readonly question: Question;
  readonly decision: Decision;
  readonly sha256: string;
}

/**
 * What policy was asked and answered, for dry runs of other policies. No part of any call: a decision is put down in memory and
 * written a moment later with others, or not at all. The record of who did what is the audit.
 */
@Injectable()
export class DecisionRecord implements OnModuleInit, BeforeApplicationShutdown {
  #waiting: Kept[] = [];
  readonly #shares = new Map<string, number>();
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #dropped = 0;

  constructor(
    private readonly db: Database,
    @InjectPinoLogger(DecisionRecord.name) private readonly log: PinoLogger,
  ) {}

  /** Decisions that no dry run will know of, since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  onModuleInit(): void {
    this.#timer = setInterval(() => void this.flush(), FLUSH_MS).unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  add(person: Reader, question: Question, decision: Decision, sha256: string): void {
    const share = (this.#shares.get(person.id) ?? 0) + 1;
    if (this.#waiting.length >= ROOM || share > SHARE) {
      this.#dropped += 1;
      return;
    }
    this.#shares.set(person.id, share);
    this.#waiting.push({ person, question, decision, sha256 });
    if (this.#waiting.length === BATCH) void this.flush();
  }

  /** Writes what waits, batch by batch; one at a time. Never throws. */
  flush(): Promise<void> {
    return (this.#writing ??= this.#write().finally(() => (this.#writing = undefined)));
  }

  #giveBack(id: string): void {
    const left = (this.#shares.get(id) ?? 0) - 1;
    if (left > 0) this.#shares.set(id, left);
    else this.#shares.delete(id);
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH);
      for (const { person } of batch) this.#giveBack(person.id);
      try {
        await insertDecisions(this.db.pool, batch.map(rowOf));
      } catch (error) {
        this.#dropped += batch.length;
        this.log.warn({ err: error, dropped: batch.length }, 'decisions could not be kept for dry runs');
      }
    }
  }
}

const rowOf = ({ person, question, decision, sha256 }: Kept): NewDecision => ({
  at: question.context.now,
  actor_id: person.id,
  actor_name: person.name,
  action: question.action,
  question: toCedar(question),
  allowed: decision.allowed,
  approvals: decision.approvals,
  policies: decision.policies,
  policy_sha256: sha256,
});
