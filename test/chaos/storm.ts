import { setTimeout as pause } from 'node:timers/promises';
import { Signer } from '@aws-sdk/rds-signer';
import { freshDatabase } from '../support/state.ts';
import { until } from '../support/until.ts';
import { asAdmin, asMaster } from '../e2e/holdings.ts';
import {
  iamUser,
  known,
  mint,
  person,
  setStage,
  whoAmI,
  type Login,
  type Stage,
  type TargetName,
} from '../e2e/stage.ts';
import { chance, dice, oneOf, shuffled, upTo, type Dice } from './dice.ts';
import { hurry, leave, newErrand, run, visit, type Errand, type Visitor } from './errands.ts';
import {
  differences,
  everyLogin,
  gapsInRecord,
  held,
  liveGrants,
  mintLines,
  restless,
  userIn,
  written,
} from './invariants.ts';
import { restartable } from './theatre.ts';

/** The real service in a process that is killed, real targets that are stopped, and people who go on as if nothing were. */
export interface Storm {
  /** One run: everybody comes, everybody goes, and twice it is looked at what is left. Answers with what must not be, in words. */
  blow(seed: number): Promise<string[]>;
  /** After a violation: another service on another state, other people, and targets that nobody holds anything on. */
  clear(): Promise<void>;
  /** How often what happened. */
  readonly tally: Record<string, number>;
  /** What the service has said last. */
  log(): string;
  close(): Promise<void>;
}

const PEOPLE = 8;
/** Errands of one run. */
const AT_ONCE = 6;
/** Nothing may be on its way for longer when all are up again. */
const PATIENCE_MS = 90_000;
const groups = ['orders_read', 'orders_write', 'billing_read'];
const names: readonly TargetName[] = ['orders', 'billing'];

type Weather = Awaited<ReturnType<typeof gather>>;

async function gather() {
  const database = await freshDatabase();
  const service = await restartable(database.url);
  const stage = await setStage(service);
  const bob = await known(stage, 'bob');
  const visitors = Array.from({ length: PEOPLE }, (_, i): Visitor => {
    const iam = iamUser(stage, `storm-${process.pid}-${Date.now()}-${i}`);
    const all = ['engineers', 'orders-owners', 'billing-owners'];
    return { who: person(stage, 'storm', all, { aws_principal: iam.arn }), iam };
  });
  // other tests of this process used the same targets, and what they left there is nobody's here
  const strangers = new Set((await Promise.all(names.map((name) => everybody(stage, name)))).flat());
  return { database, service, stage, bob, visitors, strangers };
}

const everybody = ({ standIn }: Stage, name: TargetName): Promise<string[]> =>
  asAdmin(standIn, name, (admin) => everyLogin(admin, groups));

export async function gatherStorm(): Promise<Storm> {
  const tally: Record<string, number> = {};
  let weather = await gather();
  for (const name of names)
    await asMaster(weather.stage.standIn, name, 'postgres', (master) =>
      // thousands of openings in an hour are the point of this
      master.query(
        `UPDATE usher.setting SET value = '1000000' WHERE name LIKE 'max_%' AND name <> 'max_live_per_login'`,
      ),
    );
  const end = async (): Promise<void> => {
    await weather.service.end();
    await weather.database.drop();
  };
  return {
    tally,
    blow: (seed) => new Run(weather, dice(seed), tally).all(),
    clear: async () => {
      await end();
      for (const name of names) await sweepOut(weather.stage, name);
      weather = await gather();
    },
    log: () => weather.service.log().slice(-6_000),
    close: end,
  };
}

/** Takes everything from everybody, as rdsadmin. */
async function sweepOut({ standIn }: Stage, name: TargetName): Promise<void> {
  await standIn.targets[name].rds.start();
  await asAdmin(standIn, name, async (admin) => {
    await admin.query('SELECT usher.close(login, grant_id) FROM usher.lease WHERE closed_at IS NULL');
    await admin.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity a JOIN usher.login l ON l.name = a.usename',
    );
  });
}

/** Six people who come and go while the service dies and a target is away. */
class Run {
  readonly #w: Weather;
  readonly #random: Dice;
  readonly #tally: Record<string, number>;
  readonly #errands: Errand[];
  readonly #found: string[] = [];

  constructor(weather: Weather, random: Dice, tally: Record<string, number>) {
    [this.#w, this.#random, this.#tally] = [weather, random, tally];
    this.#errands = shuffled(random, weather.visitors)
      .slice(0, AT_ONCE)
      .map((visitor) => newErrand(random, visitor));
  }

  async all(): Promise<string[]> {
    const { stage, bob } = this.#w;
    try {
      await this.#act('coming', () => this.#errands.map((errand) => run(stage, bob, errand)));
      if (this.#found.length > 0) return this.#found;
      await this.#works();
      await this.#act('going', () =>
        this.#errands
          .filter(({ lives }) => lives)
          .map((errand) => (chance(this.#random, 0.7) ? leave(errand) : hurry(errand))),
      );
      await this.#gone();
    } catch (error) {
      this.#found.push(error instanceof Error ? error.message : String(error));
    } finally {
      await this.#w.service.start();
      for (const name of names) await stage.standIn.targets[name].rds.start();
      for (const session of this.#errands.flatMap(({ sessions }) => sessions))
        void session.end().catch(() => undefined);
    }
    return this.#found;
  }

  /** What people do, and what happens to them; then all comes to rest, and is looked at. */
  async #act(what: string, people: () => Promise<void>[]): Promise<void> {
    const doing = people();
    const results = await Promise.allSettled([...doing, this.#kills(), this.#outage()]);
    for (const result of results)
      if (result.status === 'rejected') this.#found.push(`${what}: ${String(result.reason)}`);
    await until(
      'everything comes to rest',
      async () => (await restless(this.#w.database.owner)).length === 0,
      PATIENCE_MS,
    ).catch(async () => {
      for (const one of await restless(this.#w.database.owner)) this.#found.push(`${what}: stuck: grant ${one}`);
    });
    for (const one of await this.#look()) this.#found.push(`${what}: ${one}`);
  }

  async #kills(): Promise<void> {
    const { service } = this.#w;
    for (const probability of [0.8, 0.2]) {
      if (!chance(this.#random, probability)) return;
      await pause(upTo(this.#random, 900));
      await service.kill();
      this.#count('kill');
      await pause(upTo(this.#random, 200));
      await service.start();
    }
  }

  async #outage(): Promise<void> {
    if (!chance(this.#random, 0.4)) return;
    const { rds } = this.#w.stage.standIn.targets[oneOf(this.#random, names)];
    await pause(upTo(this.#random, 700));
    await rds.stop();
    this.#count('outage');
    await pause(upTo(this.#random, 900));
    await rds.start();
  }

  /** What is on the targets and in IAM against what the store says, and the store against what people were told. */
  async #look(): Promise<string[]> {
    const { stage, database, visitors, strangers } = this.#w;
    const found: string[] = [];
    const reach = new Map<string, string[]>();
    for (const name of names) {
      const live = await liveGrants(database.owner, stage.targets[name].id);
      const ours = (await everybody(stage, name)).filter((login) => !strangers.has(login));
      const there = await asAdmin(stage.standIn, name, (admin) => held(admin, ours));
      found.push(...differences(there, live).map((one) => `${name}: ${one}`));
      for (const { principal, login } of live)
        if (principal !== null)
          reach.set(principal, [
            ...(reach.get(principal) ?? []),
            userIn(stage.standIn.targets[name].resourceId, login),
          ]);
    }
    for (const { iam } of visitors) {
      const [is, should] = [written(iam.user), (reach.get(iam.arn) ?? []).sort().join()];
      if (is !== should) found.push(`the policies of ${iam.arn} name ${is || 'nobody'}, not ${should || 'nobody'}`);
    }
    return [...found, ...(await this.#told())];
  }

  async #told(): Promise<string[]> {
    const { owner } = this.#w.database;
    const grants = this.#errands.flatMap(({ grantId }) => grantId ?? []);
    const { rows } = await owner.query<{ id: string; state: string; error: string | null; minutes: number }>(
      `SELECT id, state, last_error AS error, extract(epoch FROM ends_at - starts_at)::float8 / 60 AS minutes
         FROM access_grant WHERE id = ANY ($1)`,
      [grants],
    );
    const lines = await mintLines(owner, grants);
    const found = await gapsInRecord(owner, grants);
    for (const { grantId = '', lives, minutes, minted, fate } of this.#errands) {
      const row = rows.find(({ id }) => id === grantId);
      const should = lives ? 'active' : 'closed';
      this.#count(`${fate} ${row?.state}`);
      if (row?.state !== should)
        found.push(`grant ${grantId} (${fate}) is ${row?.state} ${row?.error ?? ''}, not ${should}`);
      else if (lives && row.minutes !== minutes)
        found.push(`grant ${grantId} is for ${row.minutes} minutes, and ${minutes} were agreed`);
      if ((lines.get(grantId) ?? 0) < minted)
        found.push(`${minted} tokens were given for grant ${grantId}, and ${lines.get(grantId) ?? 0} are on record`);
    }
    return found;
  }

  /** Everybody who may come in, does; some stay inside. */
  async #works(): Promise<void> {
    const { stage } = this.#w;
    const tries = this.#errands
      .filter(({ lives }) => lives)
      .map(async (errand) => {
        const login = await this.#login(errand);
        const is = await whoAmI(stage, login);
        if (is !== login.user) throw new Error(`who came in as ${login.user} is ${is}`);
        if (errand.ask.mode === 'session') await visit(stage, errand, 'reader');
        this.#count('login');
      });
    for (const result of await Promise.allSettled(tries))
      if (result.status === 'rejected') this.#found.push(`a live grant does not work: ${String(result.reason)}`);
  }

  async #login({ visitor, ask, grantId }: Errand): Promise<Login> {
    const { stage } = this.#w;
    if (ask.mode !== 'attached') return mint(visitor.who, grantId!);
    const { iam, who } = visitor;
    const { body } = await who.get<{ login: string }>(`/v1/grants/${grantId}`);
    const [endpoint] = stage.standIn.targets[ask.target].endpoints;
    const { host = '', port = 0 } = endpoint ?? {};
    const credentials = { accessKeyId: iam.accessKeyId, secretAccessKey: iam.secretAccessKey };
    const signer = new Signer({ hostname: host, port, region: 'eu-west-1', username: body.login, credentials });
    return { token: await signer.getAuthToken(), host, port, user: body.login, database: ask.target };
  }

  /** Nobody is inside any more. */
  async #gone(): Promise<void> {
    for (const { sessions, grantId } of this.#errands)
      for (const session of sessions) {
        const there = await session.query('SELECT 1').then(
          () => true,
          () => false,
        );
        if (there) this.#found.push(`a session of grant ${grantId ?? ''} outlived it`);
      }
  }

  #count(what: string): void {
    this.#tally[what] = (this.#tally[what] ?? 0) + 1;
  }
}
