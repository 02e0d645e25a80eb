import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { EventEmitter, once } from 'node:events';
import pg from 'pg';
import { JOB_DATABASE } from '../platform/jobs/jobs.js';

const CHANNEL = 'usher_grant';

/** Tells, in whichever process it happened, that a grant changed its state: a notification of the database itself. */
@Injectable()
export class GrantEvents implements OnModuleDestroy {
  private readonly emitter = new EventEmitter().setMaxListeners(0);
  private listening: Promise<pg.Client> | undefined;

  constructor(@Inject(JOB_DATABASE) private readonly url: string) {}

  /**
   * Waits for the next change of a grant, at most so long.
   * @param ready called when a change from now on will be heard
   */
  async changed(grantId: string, milliseconds: number, ready: () => void = () => undefined): Promise<void> {
    const listening = this.listen();
    const signal = AbortSignal.timeout(milliseconds);
    const change = once(this.emitter, grantId, { signal }).catch(() => undefined);
    await listening.catch(() => undefined); // unheard, the caller looks again when the time is up
    ready();
    await change;
  }

  async onModuleDestroy(): Promise<void> {
    const client = await this.listening?.catch(() => undefined);
    await client?.end();
  }

  private listen(): Promise<pg.Client> {
    this.listening ??= this.open().catch((error: unknown) => {
      this.listening = undefined;
      throw error;
    });
    return this.listening;
  }

  private async open(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.url,
      application_name: 'usher events',
      options: '-c role=usher_app',
      keepAlive: true,
    });
    client.on('error', () => (this.listening = undefined)); // the next who waits connects anew
    client.on('notification', ({ payload }) => payload !== undefined && this.emitter.emit(payload));
    await client.connect();
    await client.query(`LISTEN ${CHANNEL}`);
    return client;
  }
}
