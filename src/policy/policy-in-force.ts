import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { InjectPinoLogger, PinoLogger } from 'nestjs-pino';
import { SETTINGS, type Settings } from '../platform/config.js';
import { Database, type Tx } from '../platform/state/database.js';
import { Notifications } from '../platform/state/notifications.js';
import { together, type Distinctions } from './distinctions.js';
import { defaultPolicyFile, denied, PolicyEngine, type Rules } from './engine.js';
import type { Action, Decision, PolicyPerson } from './policy.contract.js';
import type { Question } from './question.js';
import { hasPassed, Trial } from './trial.js';

/** At the latest so long after a change a process knows of it, even where no notification reaches it. */
const LOOK_AGAIN_MS = 5_000;
/** Milliseconds that what ruled before may rule on while its successor is tried. */
const PATIENCE_MS = 10_000;
let instances = 0;

/** Which policy rules, as the newest row of `policy_activation` says. */
export interface Activation {
  /** 0 before the first: the policy that is shipped. */
  readonly id: bigint;
  /** Null: the policy that is shipped. */
  readonly version: { readonly number: number; readonly text: string } | null;
  readonly at: Date | null;
  readonly by: string | null;
}

export async function newestActivation(db: Tx): Promise<Activation> {
  const row = await db.policyActivation.findFirst({
    orderBy: { id: 'desc' },
    include: { version: { select: { number: true, text: true } }, activatedBy: { select: { name: true } } },
  });
  return row === null
    ? { id: 0n, version: null, at: null, by: null }
    : { id: row.id, version: row.version, at: row.at, by: row.activatedBy.name };
}

/**
 * The rules that this process decides by: those of the file that is configured, else those that the database says. A change
 * is taken over as soon as its notification comes. What cannot be loaded leaves no rules at all, and that denies everything.
 */
@Injectable()
export class PolicyInForce implements Rules, OnModuleInit, OnModuleDestroy {
  /** The configured file, or what is shipped; loaded at the start, so that what is wrong with it stops that. */
  readonly #own: PolicyEngine;
  readonly #places: readonly [string, string];
  protected readonly patience: number = PATIENCE_MS;
  #engine: PolicyEngine | undefined;
  #active: Activation | undefined;
  #fault: string | undefined = 'the policy was not loaded yet';
  #looking: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'policyFile'>,
    private readonly db: Database,
    private readonly notifications: Notifications,
    @InjectPinoLogger(PolicyInForce.name) private readonly log: PinoLogger,
  ) {
    this.#own = PolicyEngine.load(settings.policyFile ?? defaultPolicyFile);
    const name = `in force ${(instances += 1)}`; // several may live in one process, as in tests
    this.#places = [`${name}, a`, `${name}, b`];
    if (this.fromFile) this.#rule(this.#own, undefined);
  }

  /** A file rules, whatever the database says. */
  get fromFile(): boolean {
    return this.settings.policyFile !== undefined;
  }
  get version(): string {
    return this.#engine?.version ?? 'none';
  }
  get sha256(): string {
    return this.#engine?.sha256 ?? 'none';
  }
  get fault(): string | undefined {
    return this.#fault;
  }
  /** Undefined where nothing rules. */
  get engine(): PolicyEngine | undefined {
    return this.#engine;
  }
  /** The activation that this process decides by; undefined where a file rules, or nothing. */
  get active(): Activation | undefined {
    return this.#active;
  }

  decide(question: Question): Decision {
    return this.#engine?.decide(question) ?? denied([this.#fault ?? 'no policy is loaded']);
  }

  distinctions(person: PolicyPerson, asked: readonly Action[]): Distinctions {
    return this.#engine?.distinctions(person, asked) ?? together([]);
  }

  async onModuleInit(): Promise<void> {
    if (this.fromFile) return;
    await this.refresh();
    void this.#follow();
  }

  onModuleDestroy(): void {
    this.#stopped = true;
  }

  /** Takes over what the database says now, if it is another. Never throws. */
  refresh(): Promise<void> {
    return (this.#looking = this.#looking.then(() => this.#look()));
  }

  async #follow(): Promise<void> {
    while (!this.#stopped) {
      // heard from here on, so that no change falls between the look and the wait
      const changed = this.notifications.changed('usher_policy', 'active', LOOK_AGAIN_MS);
      await this.refresh();
      await changed;
    }
  }

  async #look(): Promise<void> {
    if (this.#stopped || this.fromFile) return;
    try {
      const newest = await this.#newest();
      if (newest && newest.id !== this.#active?.id) await this.#takeOver(newest);
    } catch (error) {
      [this.#engine, this.#active] = [undefined, undefined]; // tried again at the next look
      this.#fault = error instanceof Error ? error.message : String(error);
      this.log.error({ err: error }, 'the active policy cannot be loaded: everything is denied');
    }
  }

  /** Undefined while the state does not answer: without it nothing is answered, whatever the rules are. */
  async #newest(): Promise<Activation | undefined> {
    try {
      return await newestActivation(this.db.client);
    } catch (error) {
      if (!this.#stopped) this.log.warn({ err: error }, 'which policy is active could not be read');
      return undefined;
    }
  }

  async #takeOver(activation: Activation): Promise<void> {
    const { version } = activation;
    const late = setTimeout(() => this.waitInVain(), this.patience);
    try {
      this.#rule(version === null ? this.#own : await this.#load(version), activation);
    } finally {
      clearTimeout(late);
    }
    this.log.info({ policy: version?.number ?? 'shipped', sha256: this.sha256 }, 'policy loaded');
  }

  /** A forbid that somebody wrote must hold: what ruled before does not stand in for what is still being tried. */
  protected waitInVain(): void {
    [this.#engine, this.#active] = [undefined, undefined];
    this.#fault = 'the active policy is still being tried';
    this.log.error('the active policy is still being tried: everything is denied until that is done');
  }

  /** Only a text that did no harm to a thread of its own is parsed in ours. @throws Error naming what is wrong with it */
  async #load({ number, text }: { number: number; text: string }): Promise<PolicyEngine> {
    const name = `policy version ${number}`;
    if (!hasPassed(text)) await refuseHarm(text, name);
    const [a, b] = this.#places;
    return new PolicyEngine(text, name, this.#engine?.place === a ? b : a);
  }

  #rule(engine: PolicyEngine, activation: Activation | undefined): void {
    this.#engine = engine;
    this.#active = activation;
    this.#fault = undefined;
  }
}

async function refuseHarm(text: string, name: string): Promise<void> {
  const trial = await Trial.open(text, name);
  await trial.close();
  const [problem] = trial.problems;
  if (problem) throw new Error(`${name}: ${problem.policy ?? 'text'}: ${problem.message}`);
}
