import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { InjectPinoLogger, PinoLogger } from 'nestjs-pino';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { Database } from '../platform/state/database.js';
import { signCheckpoint } from './checkpoint.js';
import { emptyRoot, Frontier, type Hash, type RootOf } from './merkle.js';
import { placeUnsealed } from './placing.js';
import { RecordKey } from './record-key.js';
import {
  hashesAt,
  inTransaction,
  lastDrawn,
  newestHead,
  ownNumber,
  takeTurn,
  writeHead,
  type Drawn,
  type Head,
  type Horizon,
  type Node,
  type Session,
} from './seals.queries.js';
import { frontierAt, rootsOf } from './tree.js';

/** Between two looks: a line is sealed within a second, also by a process that takes over. */
const LOOK_MS = 250;
/** After a look that failed. */
const AGAIN_MS = 1_000;
/** Lines of one look: a second's work at most, and some megabytes. */
const BATCH = 5_000;

/** What was found out by a look and saves the next one to find it out again; of the tree, also what must not be lost again. */
interface Memory {
  /** Ordinals and numbers of transactions mean nothing beyond a start of the server. The tree means the same for ever. */
  readonly server: string;
  readonly tree: Frontier;
  readonly settled: number;
  /** Of looks that some transactions which were running then may outlive, the oldest first. */
  readonly horizons: readonly Horizon[];
}

const NOTHING: Memory = { server: '', tree: new Frontier(), settled: 0, horizons: [] };

/**
 * Gives the lines of the record their places, after they were written. Any process may, and any number at once: whoever has the
 * lock works, in the one transaction that holds it. What is remembered between two looks saves reading it again, and must still be
 * the beginning of what is there.
 */
@Injectable()
export class Sealer implements OnModuleDestroy {
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<unknown> = Promise.resolve();
  private stopped = false;
  private memory = NOTHING;

  constructor(
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'jobs'>,
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly key: RecordKey,
    @InjectPinoLogger(Sealer.name) private readonly log: PinoLogger,
  ) {}

  /** @throws Error when there is a key, and it cannot be used */
  async start(): Promise<void> {
    if (!this.settings.jobs) return;
    if (!this.key.elsewhere && (await this.key.atHand()) === undefined)
      this.log.warn(
        'the record is sealed without signatures: set USHER_AUDIT_KEY, USHER_AUDIT_KEY_FILE or USHER_AUDIT_KMS_KEY',
      );
    this.next(LOOK_MS);
  }

  async onModuleDestroy(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  private next(milliseconds: number): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      this.running = this.seal().then(
        (lines) => this.next(lines >= BATCH ? 0 : LOOK_MS * (0.8 + Math.random() * 0.4)), // replicas take turns
        (error: unknown) => {
          this.log.error({ err: error }, 'the record could not be sealed');
          this.next(AGAIN_MS);
        },
      );
    }, milliseconds);
  }

  /**
   * One look. Either all of it is committed, or nothing was.
   * @returns how many lines were sealed; 0 also while another process seals
   */
  async seal(): Promise<number> {
    if (this.isDone(await lastDrawn(this.db.pool))) return 0;
    const look = await inTransaction(this.db, async (session) =>
      (await takeTurn(session)) ? this.look(session) : undefined,
    );
    if (look) this.memory = look.memory;
    return look?.lines ?? 0;
  }

  /** What this process sealed last, whatever its database says by now. */
  get sealed(): { size: number; root: Hash } {
    const { tree } = this.memory;
    return { size: tree.size, root: tree.root() };
  }

  private isDone({ server, ordinal }: Drawn): boolean {
    return server === this.memory.server && ordinal === this.memory.settled;
  }

  private async look(session: Session): Promise<{ lines: number; memory: Memory }> {
    const head = await newestHead(session, { signed: false });
    const { server, ordinal: drawn } = await lastDrawn(session);
    const remembers = server === this.memory.server && drawn >= this.memory.settled;
    const known = remembers ? this.memory : { ...NOTHING, server, tree: this.memory.tree };
    // below what was sealed stands only a sequence that did not come along with its table: all is looked at then
    const above = drawn < (head?.settled ?? 0) ? 0 : Math.max(head?.settled ?? 0, known.settled);
    if (above === drawn) return { lines: 0, memory: { ...known, settled: drawn } };
    const { xact, over } = await ownNumber(session);
    const horizons = withHorizon(known.horizons, { drawn, xact });
    const tree = await this.treeOf(session, head);
    const placed = await placeUnsealed(session, tree, { above, most: BATCH });
    const passed = horizons.filter((horizon) => horizon.xact <= over);
    // a full look left lines behind, all of them above its last
    const seen = placed.lines < BATCH ? Infinity : placed.last;
    const last = passed.at(-1); // they ascend
    const settled = Math.max(above, last ? Math.min(last.drawn, seen) : 0);
    if (placed.lines > 0) await this.end(session, tree, Math.max(settled, head?.settled ?? 0), placed.nodes);
    const left = horizons.filter((horizon) => horizon.drawn > settled);
    return { lines: placed.lines, memory: { server, tree, settled, horizons: left } };
  }

  /** A copy to grow: what is remembered stays as it is until the commit. */
  private async treeOf(session: Session, head: Head | undefined): Promise<Frontier> {
    const root = head?.root ?? emptyRoot;
    const size = head?.size ?? 0;
    const { tree: known } = this.memory;
    if (known.size === size && known.root().equals(root)) return known.copy();
    const rootOf = rootsOf((level, range) => hashesAt(session, level, range));
    await refuseOther(known, size, rootOf);
    const tree = await frontierAt(size, rootOf);
    if (tree.root().equals(root)) return tree;
    throw new Error(`the ${size} sealed lines no longer lead to the root of their checkpoint`);
  }

  private async end(session: Session, tree: Frontier, settled: number, nodes: readonly Node[]): Promise<void> {
    // a key that is elsewhere is asked later, by SigningRounds: this transaction waits for nobody
    const signer = await this.key.atHand();
    const [size, root] = [tree.size, tree.root()];
    const note = signer ? signCheckpoint({ origin: this.key.origin, size, root }, signer) : null;
    await writeHead(session, { size, root, settled, note, at: this.clock.now() }, nodes);
  }
}

/**
 * Other processes append, and nothing goes back: what was cut off or changed must not be signed anew, whatever was appended to it and
 * whenever the server was started.
 * @throws Error when the record that has `size` lines now does not begin with the tree that is known
 */
async function refuseOther(known: Frontier, size: number, rootOf: RootOf): Promise<void> {
  if (known.size > size)
    throw new Error(
      `the sealed record has ${size} lines, of ${known.size} that this process left: it was cut off, or restored from an older state. Nothing is sealed until a restart of this process; look at the record before`,
    );
  if (known.size === 0 || (await rootOf({ start: 0, end: known.size })).equals(known.root())) return;
  throw new Error(
    `the first ${known.size} sealed lines are not as this process left them: somebody changed the record. Nothing is sealed until a restart of this process; look at the record before`,
  );
}

/** Where nobody drew since, the older one is over sooner. */
const withHorizon = (known: readonly Horizon[], now: Horizon): readonly Horizon[] =>
  known.at(-1)?.drawn === now.drawn ? known : [...known, now];
