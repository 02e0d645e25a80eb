import { ExtensionsService } from '../../src/access/extensions.service.js';
import { DomainError } from '../../src/platform/errors.js';
import { Died } from './life.ts';
import type { Agreed, Model } from './model.ts';
import type { Act } from './play.ts';
import { profiles, type Somebody, type World } from './world.ts';

const MINUTE = 60_000;

/** How often what happened, over all runs: a proof of nothing must be seen as one. */
export type Tally = Record<string, number>;

type Ask = Extract<Act, { do: 'ask' }>;

/** A request, and what became of it by the answers that people were given. */
interface Asked extends Pick<Ask, 'person' | 'target' | 'profile' | 'minutes'> {
  /** Its reason, by which it is found when the answer never came. */
  what: string;
  /** The grant that shall live longer. */
  extends?: Agreed;
  /** Of an extension: the end that was shown. */
  shown?: number;
  id?: string;
  /** Perhaps: the one who said yes heard no answer. */
  state: 'pending' | 'perhaps' | 'approved' | 'lapsed';
}

interface Row {
  id: string;
  what: string;
  approved: boolean;
  shown: string | null;
  grant: string | null;
  starts: Date;
  ends: Date;
  reason: string | null;
}

let plays = 0;

/** The people of one play: they act, hear the answers, and hold Usher to them. */
export class Cast {
  readonly #asked: Asked[] = [];
  /** What was asked for a grant and not answered. */
  readonly #perhaps = new Map<Agreed, 'revoked' | number>();
  readonly #play = `play ${process.pid}.${++plays}`;
  readonly #world: World;
  readonly #people: readonly Somebody[];
  readonly #model: Model;
  readonly #tally: Tally;
  #unsteady = false;

  constructor(world: World, people: readonly Somebody[], model: Model, tally: Tally) {
    [this.#world, this.#people, this.#model, this.#tally] = [world, people, model, tally];
  }

  get #now(): number {
    return this.#world.clock.now().getTime();
  }

  /** What the acts of a round come to. They meet each other; two on the same thing are one. */
  prepare(acts: readonly Act[]): (() => Promise<void>)[] {
    this.#unsteady = acts.some((act) => act.do === 'cut off' || act.do === 'bring back');
    const taken = new Set<unknown>();
    const once = <T>(thing: T | undefined, key: unknown, run: (thing: T) => Promise<void>) => {
      if (thing === undefined || taken.has(key)) return [];
      taken.add(key);
      return [() => run(thing)];
    };
    const pending = this.#asked.filter(({ id, state }) => id && state === 'pending');
    const living = this.#model.grants.filter(({ over }) => !over);
    return acts.flatMap((act) => {
      const [request, grant] = 'nth' in act ? [nthOf(pending, act.nth), nthOf(living, act.nth)] : [];
      switch (act.do) {
        case 'ask':
          return [() => this.#ask(act)];
        case 'approve':
          return once(request, request?.extends ?? request, (one) => this.#approve(one));
        case 'revoke':
          return once(grant, grant, (one) => this.#revoke(one));
        case 'shorten':
          return once(grant, grant, (one) => this.#shorten(one, act.minutes));
        case 'extend':
          return once(grant, grant, (one) => this.#extend(one, act.minutes));
        case 'cut off':
        case 'bring back':
          return once(this.#world.targets[act.target], act.target, ({ gate }) => {
            this.#count(act.do);
            return act.do === 'cut off' ? gate.shut() : gate.reopen();
          });
      }
    });
  }

  async #ask({ person, target, profile, minutes, inMinutes }: Ask): Promise<void> {
    const { targets, life } = this.#world;
    const { id: targetId, profileIds, gate } = targets[target]!;
    const request = this.#request({ person, target, profile, minutes });
    const startsAt = new Date(this.#now + inMinutes * MINUTE);
    const input = {
      ...{ targetId, profileId: profileIds[profile]!, durationMinutes: minutes, reason: request.what },
      ...(inMinutes > 0 && { startsAt }),
    };
    const create = () => life.requests.create(this.#people[person]!.actor, input);
    const answer = await this.#call('ask', create, { down: !gate.open });
    if (answer) Object.assign(request, { id: answer.id, state: needsYes(profile) ? 'pending' : 'approved' });
  }

  async #extend(grant: Agreed, minutes: number): Promise<void> {
    if (this.#asked.some((one) => one.extends === grant && one.state === 'pending')) return;
    const { person, target, profile } = grant;
    const request = this.#request({ person, target, profile, minutes });
    request.extends = grant;
    const input = { durationMinutes: minutes, reason: request.what };
    const extensions = this.#world.life.get(ExtensionsService);
    const extend = () => extensions.extend(this.#people[person]!.actor, grant.id, input);
    const answer = await this.#call('extend', extend, { down: !this.#world.targets[target]!.gate.open });
    if (!answer) return;
    request.id = answer.id;
    request.shown = grant.endsAt + minutes * MINUTE;
    if (needsYes(profile)) request.state = 'pending';
    else this.#longer(request);
  }

  async #approve(request: Asked): Promise<void> {
    const { life, approver } = this.#world;
    const { extends: grant, minutes, shown } = request;
    const moot = grant && (grant.over || this.#now >= grant.endsAt);
    const changed = grant && grant.endsAt + minutes * MINUTE !== shown;
    request.state = 'perhaps';
    const refusal = moot ? 'grant_closed' : changed ? 'plan_changed' : undefined;
    const answer = await this.#call('approve', () => life.decisions.approve(approver, request.id!), { refusal });
    if (!answer) request.state = moot ? 'lapsed' : 'pending';
    else if (grant) this.#longer(request);
    else request.state = 'approved';
  }

  async #revoke(grant: Agreed): Promise<void> {
    this.#perhaps.set(grant, 'revoked');
    await this.#call('revoke', () => this.#world.life.grants.revoke(this.#people[grant.person]!.actor, grant.id));
    this.#perhaps.delete(grant);
    grant.over = true;
  }

  async #shorten(grant: Agreed, minutes: number): Promise<void> {
    const endsAt = this.#now + minutes * MINUTE;
    if (endsAt >= grant.endsAt || endsAt <= grant.startsAt) return;
    this.#perhaps.set(grant, endsAt);
    const { actor } = this.#people[grant.person]!;
    await this.#call('shorten', () => this.#world.life.grants.shorten(actor, grant.id, new Date(endsAt)));
    this.#perhaps.delete(grant);
    grant.endsAt = endsAt;
  }

  #longer(request: Asked): void {
    request.state = 'approved';
    request.extends!.endsAt += request.minutes * MINUTE;
  }

  #request(ask: Pick<Asked, 'person' | 'target' | 'profile' | 'minutes'>): Asked {
    const request: Asked = { ...ask, what: `${this.#play}, request ${this.#asked.length + 1}`, state: 'perhaps' };
    this.#asked.push(request);
    return request;
  }

  /** Refused is what must be, and nothing else: a target that is down, or may have been, is the one excuse. */
  async #call<T>(
    what: string,
    run: () => Promise<T>,
    { down = false, refusal }: { down?: boolean; refusal?: string | undefined } = {},
  ): Promise<T | undefined> {
    try {
      const answer = await run();
      if (refusal !== undefined) throw new Error(`${what} was heard, and must have been refused: ${refusal}`);
      this.#count(what);
      return answer;
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      const excused = error.code === refusal || (error.kind === 'unavailable' && (down || this.#unsteady));
      if (!excused) throw new Error(`${what} was refused: ${error.code}, ${error.message}`, { cause: error });
      this.#count(`${what} (${error.code})`);
      return undefined;
    }
  }

  /**
   * What was answered is so. Whether a call that a crash cut off was heard, only the store can tell; that everything else
   * is as the store says, is what is tested.
   */
  async learn(): Promise<void> {
    const { rows } = await this.#world.database.owner.query<Row>(
      `SELECT r.id, r.reason AS what, r.state = 'approved' AS approved, r.plan->>'endsAt' AS shown, g.id AS grant,
              g.starts_at AS starts, g.ends_at AS ends, g.close_reason AS reason
         FROM request r LEFT JOIN access_grant g ON g.request_id = r.id WHERE r.reason LIKE $1`,
      [`${this.#play},%`],
    );
    const found = new Map(rows.map((row) => [row.what, row]));
    for (const request of this.#asked) this.#heard(request, found.get(request.what));
    for (const row of rows) {
      const grant = this.#model.grants.find(({ id }) => id === row.grant);
      const perhaps = grant && this.#perhaps.get(grant);
      if (grant && perhaps === 'revoked') grant.over ||= row.reason === 'revoked';
      else if (grant && perhaps === row.ends.getTime()) grant.endsAt = perhaps;
    }
    this.#perhaps.clear();
  }

  #heard(request: Asked, row: Row | undefined): void {
    const { what, id, state, extends: grant } = request;
    if (!row) {
      if (id !== undefined) throw new Error(`${what} was answered, and is not there`);
      request.state = 'lapsed';
      return;
    }
    request.id = row.id;
    if (row.shown !== null && grant) request.shown = Date.parse(row.shown);
    if (row.approved && state === 'pending') throw new Error(`${what} was approved by nobody`);
    if (!row.approved && state === 'approved') throw new Error(`${what} was approved, and is not`);
    if (state === 'perhaps' && grant && row.approved) this.#longer(request);
    if (state === 'perhaps') request.state = row.approved ? 'approved' : 'pending';
    if (row.approved && !grant) this.#granted(request, row);
  }

  #granted({ person, target, profile, minutes, what }: Asked, row: Row): void {
    if (row.grant === null) throw new Error(`${what} was approved, and there is no grant`);
    if (this.#model.grants.some(({ id }) => id === row.grant)) return;
    const [startsAt, endsAt] = [row.starts.getTime(), row.ends.getTime()];
    if (endsAt - startsAt !== minutes * MINUTE) throw new Error(`${what} was for ${minutes} minutes, and is not`);
    const { groups } = profiles[profile]!;
    this.#model.grants.push({ id: row.grant, person, target, profile, groups, startsAt, endsAt, over: false });
  }

  #count(what: string): void {
    this.#tally[what] = (this.#tally[what] ?? 0) + 1;
  }
}

export const isCrash = (error: unknown): boolean => error instanceof Died;

const needsYes = (profile: number): boolean => profiles[profile]!.approvals > 0;

const nthOf = <T>(all: readonly T[], nth: number): T | undefined => all[nth % (all.length || 1)];
