import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { InjectPinoLogger, PinoLogger } from 'nestjs-pino';
import { SETTINGS, type Settings } from '../platform/config.js';
import { DomainError } from '../platform/errors.js';
import { WrongSignature } from './checkpoint.js';
import { ChangedRecord, Notary } from './notary.js';
import { RecordKey } from './record-key.js';

/** Between two looks at whether a checkpoint is to be signed. */
const LOOK_MS = 1_000;
/** After a signature that was not to be had: longer each time, up to this. */
const LONGEST_PAUSE_MS = 30_000;

/** What came of asking. `wrong`: an answer, or a note of a checkpoint, that is no signature by the key. `changed`: nobody was asked, the record is not what it was. */
export const signingOutcomes = ['signed', 'failed', 'wrong', 'changed'] as const;
export type SigningOutcome = (typeof signingOutcomes)[number];

/** Has checkpoints signed by a key that is elsewhere, again and again. Lines are sealed whether or not it answers. */
@Injectable()
export class SigningRounds implements OnModuleDestroy {
  private readonly told = new Map<SigningOutcome, number>(signingOutcomes.map((outcome) => [outcome, 0]));
  private readonly stop = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<unknown> = Promise.resolve();
  private failures = 0;

  constructor(
    @Inject(SETTINGS) private readonly settings: Pick<Settings, 'jobs'>,
    private readonly key: RecordKey,
    private readonly notary: Notary,
    @InjectPinoLogger(SigningRounds.name) private readonly log: PinoLogger,
  ) {}

  /** @throws DomainError `invalid` when the key is of another kind: who cannot have it now goes on, and asks again */
  async start(): Promise<void> {
    if (!this.key.elsewhere) return;
    await this.key.public().catch((error: unknown) => {
      if (!(error instanceof DomainError) || error.kind !== 'unavailable') throw error;
      this.failed(error);
    });
    if (this.settings.jobs) this.next(LOOK_MS);
  }

  /** How often each came of it in this process. */
  get counts(): ReadonlyMap<SigningOutcome, number> {
    return this.told;
  }

  async onModuleDestroy(): Promise<void> {
    this.stop.abort();
    clearTimeout(this.timer);
    await this.running;
  }

  private next(milliseconds: number): void {
    if (this.stop.signal.aborted) return;
    this.timer = setTimeout(
      () => {
        this.running = this.turn().then((pause) => this.next(pause));
      },
      milliseconds * (0.8 + Math.random() * 0.4), // replicas take turns
    );
  }

  /** @returns milliseconds until the next */
  private async turn(): Promise<number> {
    try {
      const size = await this.notary.sign(this.stop.signal, (strange) => this.found(strange));
      if (size !== undefined) this.signed(size);
      return LOOK_MS;
    } catch (error) {
      if (this.stop.signal.aborted) return LOOK_MS;
      this.failed(error);
      return Math.min(LOOK_MS * 2 ** this.failures, LONGEST_PAUSE_MS);
    }
  }

  private signed(size: number): void {
    if (this.failures > 0) this.log.info({ size }, 'checkpoints are signed again');
    this.failures = 0;
    this.count('signed');
  }

  /** No failure: what is sealed next is signed as ever. */
  private found(size: number): void {
    this.count('wrong');
    this.log.error(
      { size, key: this.key.elsewhere?.name },
      'the note of the newest checkpoint is no signature by the key: the key is another than before, or somebody wrote it as this service',
    );
  }

  private failed(error: unknown): void {
    this.failures += 1;
    this.count(error instanceof WrongSignature ? 'wrong' : error instanceof ChangedRecord ? 'changed' : 'failed');
    this.log.error(
      { err: error, key: this.key.elsewhere?.name, failures: this.failures },
      'the newest checkpoint is not signed; lines are sealed all the same, and it is tried again',
    );
  }

  private count(outcome: SigningOutcome): void {
    this.told.set(outcome, (this.told.get(outcome) ?? 0) + 1);
  }
}
