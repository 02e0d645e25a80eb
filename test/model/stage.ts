import { isDeepStrictEqual } from 'node:util';
import { gapsInRecord, held } from '../chaos/invariants.ts';
import { Cast, isCrash, type Tally } from './cast.ts';
import { Model } from './model.ts';
import { PEOPLE, type Round } from './play.ts';
import { work } from './shift.ts';
import type { Somebody, World } from './world.ts';

const MINUTE = 60_000;
const LONGER_THAN_ANY_GRANT = 24 * 60 * MINUTE;

/** One play on the real thing, beside the model of it. */
export class Stage {
  readonly #model = new Model();
  readonly #cast: Cast;
  readonly #world: World;
  readonly #people: readonly Somebody[];
  readonly #tally: Tally;

  private constructor(world: World, people: readonly Somebody[], tally: Tally) {
    [this.#world, this.#people, this.#tally] = [world, people, tally];
    this.#cast = new Cast(world, people, this.#model, tally);
  }

  /** @throws Error that tells the difference between what the model says and what is */
  static async run(world: World, play: readonly Round[], tally: Tally): Promise<void> {
    const people = await Promise.all(Array.from({ length: PEOPLE }, () => world.somebody()));
    const stage = new Stage(world, people, tally);
    const began = Date.now() - stage.#now;
    try {
      for (const round of play) await stage.#round(round);
      await stage.#epilogue();
      world.free(people); // those of a play that failed may have kept something
    } finally {
      world.clock.move(Date.now() - stage.#now - began);
      for (const { gate } of world.targets) await gate.reopen();
      await world.database.owner.query('DELETE FROM pgboss.job');
    }
  }

  get #now(): number {
    return this.#world.clock.now().getTime();
  }

  async #round({ after, acts, work: working, crash }: Round): Promise<void> {
    const { clock, life } = this.#world;
    clock.move(after * MINUTE);
    this.#model.pass(this.#now);
    if (crash) life.dieAt(crash.step, crash.moment);
    const calls = this.#cast.prepare(acts).map((run) => run());
    if (working) calls.push(work(this.#world));
    for (const result of await Promise.allSettled(calls))
      if (result.status === 'rejected' && !isCrash(result.reason)) throw result.reason;
    if (life.dead) {
      this.#count(`crash (${crash?.moment ?? ''})`);
      await this.#world.reborn();
    } else life.dieAt(Infinity, 'before');
    await this.#cast.learn();
    if (working) await this.#settle();
  }

  /** All targets are back; in the end so much time passes that everything is over. */
  async #epilogue(): Promise<void> {
    const { targets, clock, database } = this.#world;
    for (const { gate } of targets) await gate.reopen();
    await this.#settle();
    clock.move(LONGER_THAN_ANY_GRANT);
    await this.#settle();
    const ids = this.#model.grants.map(({ id }) => id);
    this.#same('gaps in the record', await gapsInRecord(database.owner, ids), []);
  }

  /** Lets everything come to rest, and looks. */
  async #settle(): Promise<void> {
    // what a dead life sent arrives while this one is at work, and what it changes is nobody's job any more
    await Promise.all([work(this.#world), this.#world.quiet()]);
    await work(this.#world);
    this.#model.pass(this.#now);
    await this.#compareAccess();
    await this.#compareStates();
  }

  async #compareAccess(): Promise<void> {
    const logins = this.#people.map(({ login }) => login);
    for (const [target, { gate, server }] of this.#world.targets.entries()) {
      if (!gate.open) continue;
      const all = await held(server.rdsadmin, logins);
      for (const [person, login] of logins.entries()) {
        const { canLogin, groups, leases } = all.get(login)!;
        const should = this.#model.access(person, target, this.#now);
        this.#same(`what person ${person} has on target ${target}`, { canLogin, groups, leases }, should);
      }
    }
  }

  async #compareStates(): Promise<void> {
    const { targets, database } = this.#world;
    const { rows } = await database.owner.query<{ id: string; state: string; error: string | null }>(
      'SELECT id, state, last_error AS error FROM access_grant WHERE id = ANY ($1)',
      [this.#model.grants.map(({ id }) => id)],
    );
    for (const grant of this.#model.grants) {
      const { state, error } = rows.find(({ id }) => id === grant.id)!;
      const allowed = this.#model.states(grant, this.#now, !targets[grant.target]!.gate.open);
      const why = error === null ? '' : ` (${error})`;
      if (!allowed.includes(state)) throw new Error(`a grant is ${state}${why}, and should be ${allowed.join(' or ')}`);
      this.#count(`seen ${state}`);
    }
  }

  #same(what: string, is: unknown, should: unknown): void {
    if (!isDeepStrictEqual(is, should))
      throw new Error(`${what}:\n  is        ${JSON.stringify(is)}\n  should be ${JSON.stringify(should)}`);
  }

  #count(what: string): void {
    this.#tally[what] = (this.#tally[what] ?? 0) + 1;
  }
}
