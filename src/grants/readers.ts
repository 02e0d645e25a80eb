import { Injectable } from '@nestjs/common';
import { DomainError } from '../platform/errors.js';
import { isOfTheTarget } from './conclusion.js';
import { faultBehind, type InspectedLogin, type TargetSession } from '../postgres/postgres.contract.js';
import { TargetAccess } from '../targets/target-access.service.js';
import { writable } from '../targets/target.js';
import type { GrantRow } from './grant.js';

type Target = GrantRow['target'];
type EndpointRow = Target['endpoints'][number];

/** What a login has lost: the leases of these grants, and with `everything` all right to log in. */
export interface Lost {
  login: string;
  grantIds: ReadonlySet<string>;
  everything: boolean;
}

/** What became of one login on all readers. */
export interface Cleared {
  ended: number;
  /** What is left, in words. */
  left: string[];
}

/** For so long a change on the writer is waited for on a reader; after that the grant is tried again later. */
const REPLICATION_MS = 1_500;
const PAUSE_MS = 40;
/** Readers are asked before the door on the writer is shut, and must not keep it open. */
const GLANCE_MS = 500;

/**
 * Sessions on readers. What is taken away on the writer arrives there by replication, but no session of theirs ends by
 * that: each reader is looked at by itself, and one that cannot be looked at keeps a grant from being called closed.
 *
 * A session there can hold up the very change that shuts it out: a hot standby waits up to max_standby_streaming_delay
 * (30 s) with all that follows before it cancels a statement whose snapshot still needs what the writer has cleaned up.
 * So the membership that it takes to end the session is sent first, ahead of the loss, and the session is ended as soon
 * as that has arrived and again until the loss has.
 */
@Injectable()
export class Readers {
  constructor(private readonly access: TargetAccess) {}

  /** Whether the target has an instance beside the one where roles are made. */
  static has(target: Target): boolean {
    return others(target).length > 0;
  }

  /**
   * Before the loss: finds which of these logins have sessions on a reader, and sends what it takes to end them.
   * @param borrowed gets the logins that must be given back, by {@link giveBack}
   */
  async prepare(
    target: Target,
    writer: TargetSession,
    logins: ReadonlySet<string>,
    borrowed: Set<string>,
  ): Promise<void> {
    const seen = await Promise.all(
      others(target).map(async (endpoint) => {
        const glance = this.access
          .endpoint(target, endpoint, 'reconcile')
          .then((reader) => reader.activity())
          .catch(() => []); // what is wrong with it is found and said afterwards
        return Promise.race([glance, pause(GLANCE_MS).then(() => [])]);
      }),
    );
    const there = new Set(seen.flat().map(({ login }) => login));
    for (const login of logins)
      if (there.has(login))
        await reach(writer, login, borrowed).catch((error: unknown) => {
          if (!isOfOne(error)) throw error; // what is wrong with this one is met again afterwards
        });
  }

  /** After the loss: ends the sessions of those who have lost something, and answers what is left of each. */
  async clear(
    target: Target,
    writer: TargetSession,
    lost: readonly Lost[],
    borrowed: Set<string>,
  ): Promise<Map<string, Cleared>> {
    const all = new Map(lost.map(({ login }) => [login, { ended: 0, left: [] as string[] }]));
    // one after the other: a reader that is behind must not have the others wait in the middle of their work
    for (const endpoint of others(target)) {
      const clearing = new Clearing(lost, borrowed);
      const where = `${endpoint.kind} ${endpoint.connectHost}:${endpoint.port}`;
      const failure = await this.attempt(clearing, target, endpoint, writer);
      for (const [login, found] of all) {
        found.ended += clearing.ended.get(login) ?? 0;
        const left = failure ? `could not be cleared: ${failure.message}` : clearing.left.get(login);
        if (left !== undefined) found.left.push(`the ${where} ${left}`);
      }
    }
    return all;
  }

  /** Takes back what was lent to reach readers. What a crash leaves lent is taken back when the closing goes on. */
  async giveBack(writer: TargetSession, login: string): Promise<void> {
    await lend(writer, login, false).catch((error: unknown) => {
      if (!unmanaged(error)) throw error;
    });
  }

  private async attempt(
    clearing: Clearing,
    target: Target,
    endpoint: EndpointRow,
    writer: TargetSession,
  ): Promise<DomainError | undefined> {
    try {
      await clearing.run(await this.access.endpoint(target, endpoint, 'reconcile'), writer);
      return undefined;
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      return error;
    }
  }
}

/** The work on one reader. */
class Clearing {
  readonly ended = new Map<string, number>();
  /** Why a login is not clean there. */
  readonly left = new Map<string, string>();
  private readonly waiting: Map<string, Lost>;

  constructor(
    lost: readonly Lost[],
    private readonly borrowed: Set<string>,
  ) {
    this.waiting = new Map(lost.map((one) => [one.login, one]));
  }

  async run(reader: TargetSession, writer: TargetSession): Promise<void> {
    const until = Date.now() + REPLICATION_MS;
    for (;;) {
      await this.look(reader, writer);
      if (this.waiting.size === 0) return;
      if (Date.now() > until) break;
      await pause(PAUSE_MS);
    }
    for (const login of this.waiting.keys())
      if (!this.left.has(login)) this.left.set(login, 'does not know yet what was taken away: replication is behind');
  }

  /** The loss first and the sessions then: who was shut out at the first look cannot have come in since. */
  private async look(reader: TargetSession, writer: TargetSession): Promise<void> {
    const known = new Map((await reader.inspect([...this.waiting.keys()])).map((found) => [found.login, found]));
    const here = new Map<string, number>();
    for (const { login } of await reader.activity()) here.set(login, (here.get(login) ?? 0) + 1);
    for (const lost of [...this.waiting.values()]) {
      const { login, everything } = lost;
      const [arrived, sessions] = [hasArrived(known.get(login), lost), here.get(login) ?? 0];
      this.left.delete(login);
      const done = sessions === 0 || (await this.endOne(reader, writer, login));
      // who keeps something may be back already, with no more than he keeps; who lost all is looked at once more
      if (arrived && (sessions === 0 || (done && !everything))) this.waiting.delete(login);
      else if (arrived && !this.left.has(login)) this.left.set(login, `has ${sessions} live sessions`);
    }
  }

  /** One that cannot be ended keeps no other from being ended. */
  private endOne(reader: TargetSession, writer: TargetSession, login: string): Promise<boolean> {
    return this.end(reader, writer, login).catch((error: unknown) => {
      if (!isOfOne(error)) throw error;
      this.left.set(login, `could not be cleared: ${error.message}`);
      return false;
    });
  }

  /** False while the membership that it takes has not arrived. */
  private async end(reader: TargetSession, writer: TargetSession, login: string): Promise<boolean> {
    await reach(writer, login, this.borrowed);
    try {
      this.ended.set(login, (this.ended.get(login) ?? 0) + (await reader.endHere(login)));
      return true;
    } catch (error) {
      if (faultBehind(error)?.fault !== '42501') throw error;
      return false;
    }
  }
}

const others = (target: Target): EndpointRow[] => {
  const first = writable(target.endpoints);
  return target.endpoints.filter(({ kind, id }) => (kind === 'reader' || kind === 'instance') && id !== first?.id);
};

async function reach(writer: TargetSession, login: string, borrowed: Set<string>): Promise<void> {
  if (borrowed.has(login)) return;
  borrowed.add(login); // before the call: one that is cut off may have worked
  await lend(writer, login, true).catch((error: unknown) => {
    if (isOfOne(error)) borrowed.delete(login);
    throw error;
  });
}

/** A login that somebody renamed is known to the guard all the same, which renames it back. */
async function lend(writer: TargetSession, login: string, on: boolean): Promise<void> {
  await writer.reach(login, on).catch(async (error: unknown) => {
    if (faultBehind(error)?.reason !== 'renamed') throw error;
    await writer.repair(login);
    await writer.reach(login, on);
  });
}

/** The guard refuses this login; others it would not. */
const isOfOne = (error: unknown): error is DomainError => error instanceof DomainError && !isOfTheTarget(error);

/** Until a reader knows of the loss, a session ended there could be opened anew with all it had. */
function hasArrived(found: InspectedLogin | undefined, { grantIds, everything }: Lost): boolean {
  const leases = found?.leases.some(({ grantId }) => grantIds.has(grantId)) ?? false;
  return !leases && !(everything && found?.exists && found.canLogin);
}

/** A role that was dropped, or never was: nothing can be lent of it. */
const unmanaged = (error: unknown): boolean =>
  ['no_such_login', 'not_managed'].includes(faultBehind(error)?.reason ?? '');

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
