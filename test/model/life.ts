import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AccessModule } from '../../src/access/access.module.js';
import { DecisionsService } from '../../src/access/decisions.service.js';
import { RequestJobs } from '../../src/access/requests.job.js';
import { RequestsService } from '../../src/access/requests.service.js';
import { AppModule } from '../../src/app.module.js';
import { AuditModule } from '../../src/audit/audit.module.js';
import { AwsModule } from '../../src/aws/aws.module.js';
import { GrantJobs } from '../../src/grants/grants.job.js';
import { GrantsService } from '../../src/grants/grants.service.js';
import { Reconciler } from '../../src/grants/reconciler.js';
import { SETTINGS, type Settings } from '../../src/platform/config.js';
import { Jobs, type Queue } from '../../src/platform/jobs/jobs.js';
import { PlatformModule, type PlatformOptions } from '../../src/platform/platform.module.js';
import { Database } from '../../src/platform/state/database.js';
import { PolicyEngine } from '../../src/policy/engine.js';
import type { TargetSession } from '../../src/postgres/postgres.contract.js';
import { TargetAccess } from '../../src/targets/target-access.service.js';

/**
 * Everything of Usher that this test touches. One life of the real service, between two crashes: its modules without HTTP,
 * and its jobs worked by hand.
 */
export interface Life {
  readonly requests: RequestsService;
  readonly decisions: DecisionsService;
  readonly grants: GrantsService;
  get<T>(type: abstract new (...args: never[]) => T): T;
  readonly handlers: ReadonlyMap<string, Handler>;
  /** Until nothing that jobs have woken is at work any more. @throws Error where a round failed, and not by dying */
  idle(): Promise<void>;
  /** A target that failed a moment ago may be asked again: the peace it is left in has passed. */
  forgetFailures(): void;
  readonly dead: boolean;
  /** It dies at a step to come: a call of a target, or a transaction of its own database. */
  dieAt(step: number, moment: Moment): void;
  /** Lets what was sent and had not arrived at its death arrive now. */
  haunt(): Promise<void>;
  end(): Promise<void>;
}

/** Works jobs of one queue. */
export type Handler = (data: object[]) => Promise<void>;

/** The step is not done; is done, and nobody hears of it; is on its way, and done when others live. */
export const moments = ['before', 'after', 'late'] as const;
export type Moment = (typeof moments)[number];

/** What a caller sees of a crash. */
export class Died extends Error {
  override readonly name = 'Died';
}

/** Counts the steps to a life's end. */
class Fate {
  dead = false;
  readonly #late: (() => Promise<unknown>)[] = [];
  #left = Infinity;
  #moment: Moment = 'before';

  decide(step: number, moment: Moment): void {
    [this.#left, this.#moment] = [step, moment];
  }

  /** @param mayBeLate what is sent to another machine */
  async step<T>(run: () => Promise<T>, mayBeLate: boolean): Promise<T> {
    if (this.dead) throw new Died();
    if (--this.#left > 0) {
      const done = await run();
      if (this.dead) throw new Died();
      return done;
    }
    this.dead = true;
    if (this.#moment === 'after') await run().catch(() => undefined);
    if (this.#moment === 'late' && mayBeLate) this.#late.push(run);
    throw new Died();
  }

  async haunt(): Promise<void> {
    await Promise.allSettled(this.#late.splice(0).map((run) => run()));
  }
}

/** The rules are read once: they are no state, and compiling them would be most of a start. */
let rules: PolicyEngine | undefined;
const load = PolicyEngine.load.bind(PolicyEngine);
/** @returns has them read as ever: other files of tests come after this one in the same process */
export function readRulesOnce(): () => void {
  PolicyEngine.load = (file) => (rules ??= load(file));
  return () => (PolicyEngine.load = load);
}

export async function beginLife(options: PlatformOptions): Promise<Life> {
  const app = await NestFactory.createApplicationContext(
    {
      module: AppModule,
      imports: [
        PlatformModule.register(options),
        AwsModule.configure({ inject: [SETTINGS], useFactory: (settings: Settings) => settings.aws }),
        AuditModule,
        AccessModule,
      ],
    },
    { logger: false, abortOnError: false },
  );
  const get: Life['get'] = (type) => app.get(type, { strict: false });
  const fate = new Fate();
  await get(Jobs).start();
  const handlers = workedByHand(get(Jobs));
  mortal(app, fate);
  const rounds = watchRounds(get(GrantJobs), get(Reconciler));
  await get(GrantJobs).start();
  await get(RequestJobs).start();
  return {
    requests: get(RequestsService),
    decisions: get(DecisionsService),
    grants: get(GrantsService),
    get,
    handlers,
    ...rounds,
    get dead() {
      return fate.dead;
    },
    dieAt: (step, moment) => fate.decide(step, moment),
    haunt: () => fate.haunt(),
    end: () => app.close(),
  };
}

/** Jobs are written as ever; nobody fetches them but the test. */
function workedByHand(jobs: Jobs): Map<string, Handler> {
  const handlers = new Map<string, Handler>();
  jobs.work = async <T extends object>(queue: Queue, _parallel: number, run: (data: T) => Promise<void>) =>
    void handlers.set(queue, async (all) => {
      await Promise.all((all as T[]).map(run));
    });
  jobs.handOn = async <T extends object>(queue: Queue, hand: (data: T[]) => Promise<void>) =>
    void handlers.set(queue, (all) => hand(all as T[]));
  jobs.every = async () => undefined;
  return handlers;
}

/** The rounds that jobs wake go on after the job is done. */
function watchRounds(jobs: GrantJobs, reconciler: Reconciler) {
  const { begun } = (jobs as unknown as { rounds: { begun: ReadonlySet<Promise<void>> } }).rounds;
  const { failures } = reconciler as unknown as { failures: Map<string, unknown> };
  const round = reconciler.round.bind(reconciler);
  let failed: Error | undefined;
  reconciler.round = (...about) =>
    round(...about).catch((error: unknown) => {
      if (!(error instanceof Died)) failed ??= error as Error;
      throw error;
    });
  return {
    forgetFailures: () => failures.clear(),
    idle: async () => {
      while (begun.size > 0) await Promise.allSettled(begun);
      if (failed !== undefined) throw new Error(`a round failed: ${failed.message}`, { cause: failed });
    },
  };
}

/** Puts every step to the outside under fate. */
function mortal(app: INestApplicationContext, fate: Fate): void {
  const database = app.get(Database, { strict: false });
  const tx = database.tx.bind(database);
  database.tx = (work) => fate.step(() => tx(work), false);
  const access = app.get(TargetAccess, { strict: false });
  const endpoint = access.endpoint.bind(access);
  access.endpoint = async (...about) => {
    const session = await endpoint(...about);
    return new Proxy(session, {
      get: (of, name: keyof TargetSession) => {
        const call = of[name] as ((...args: never[]) => Promise<unknown>) | undefined;
        return call && ((...args: never[]) => fate.step(() => call.apply(of, args), true));
      },
    });
  };
}
