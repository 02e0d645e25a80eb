import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { EventEmitter, once } from 'node:events';
import pg from 'pg';
import { DATABASE_URL, SESSION } from './database.js';

/** Sent by triggers of the migrations; the payload is the id of what changed, or `active` for the policy that rules. */
const channels = ['usher_grant', 'usher_policy'] as const;
export type Channel = (typeof channels)[number];

/** Tells, in whichever process it happened, that something changed: a notification of the database itself. */
@Injectable()
export class Notifications implements OnApplicationShutdown {
  private readonly emitter = new EventEmitter().setMaxListeners(0);
  private listening: Promise<pg.Client> | undefined;

  constructor(@Inject(DATABASE_URL) private readonly url: string) {}

  /**
   * Waits for the next change of one thing, at most so long.
   * @param ready called when a change from now on will be heard
   */
  async changed(
    channel: Channel,
    id: string,
    milliseconds: number,
    ready: () => void = () => undefined,
  ): Promise<void> {
    const listening = this.listen();
    const signal = AbortSignal.timeout(milliseconds);
    const change = once(this.emitter, `${channel}/${id}`, { signal }).catch(() => undefined);
    await listening.catch(() => undefined); // unheard, the caller looks again when the time is up
    ready();
    await change;
  }

  async onApplicationShutdown(): Promise<void> {
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
      options: SESSION,
      keepAlive: true,
    });
    client.on('error', () => (this.listening = undefined)); // the next who waits connects anew
    client.on('notification', ({ channel, payload }) => this.emitter.emit(`${channel}/${payload ?? ''}`));
    await client.connect();
    for (const channel of channels) await client.query(`LISTEN ${channel}`);
    return client;
  }
}
