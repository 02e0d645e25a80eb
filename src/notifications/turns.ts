/** A session of the database, and where they come from. */
interface Session {
  query(text: string, values: unknown[]): Promise<{ rows: unknown[] }>;
  release(destroy?: boolean): void;
  on(event: 'error', listener: () => void): unknown;
}
interface Sessions {
  connect(): Promise<Session>;
}

/**
 * Gives each webhook to one process at a time, by an advisory lock that ends with the session that holds it: a crash gives it back
 * at once. All turns of a process are held by one session, which is there only while there are any.
 */
export class Turns {
  private readonly running = new Map<string, Promise<void>>();
  private session: Promise<Session> | undefined;
  private asked: Promise<unknown> = Promise.resolve();

  constructor(private readonly pool: Sessions) {}

  /** Runs `work`, unless somebody here or elsewhere is at it. */
  take(id: string, work: () => Promise<void>): Promise<void> {
    const running = this.running.get(id) ?? this.run(id, work);
    this.running.set(id, running);
    return running;
  }

  /** Until every turn is over. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.running.values());
  }

  private async run(id: string, work: () => Promise<void>): Promise<void> {
    try {
      const session = await (this.session ??= this.open());
      if (!(await this.ask(session, 'pg_try_advisory_lock', id))) return;
      try {
        await work();
      } finally {
        await this.ask(session, 'pg_advisory_unlock', id).catch(() => false); // a session that is lost has no lock any more
      }
    } finally {
      this.running.delete(id);
      if (this.running.size === 0) this.give();
    }
  }

  private open(): Promise<Session> {
    const opening = this.pool.connect();
    opening.then(
      // the server may end it while it waits: whoever comes next opens another, and the locks are free
      (session) => session.on('error', () => this.give(opening)),
      () => this.give(opening),
    );
    return opening;
  }

  /** Thrown away, and with it whatever it might still hold. @param which only this one; left out: whichever there is */
  private give(which = this.session): void {
    if (which === undefined || which !== this.session) return;
    this.session = undefined;
    which.then(
      (session) => session.release(true),
      () => undefined,
    );
  }

  /** One after the other: a session answers one question at a time. */
  private ask(session: Session, how: 'pg_try_advisory_lock' | 'pg_advisory_unlock', id: string): Promise<boolean> {
    const text = `SELECT ${how}(hashtextextended('webhook/' || $1, 0)) AS done`;
    const answer = this.asked.then(async () => {
      const { rows } = await session.query(text, [id]);
      return (rows as { done: boolean }[])[0]?.done ?? false;
    });
    this.asked = answer.catch(() => undefined);
    return answer;
  }
}
