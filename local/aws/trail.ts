/** A small CloudTrail: who called what, and with what outcome, so that tests can ask how a person was named to AWS. */
export interface TrailEvent {
  readonly eventTime: Date;
  /** E.g. `sts.amazonaws.com`. */
  readonly eventSource: string;
  readonly eventName: string;
  readonly principalArn: string;
  /** As sent, `RoleSessionName`, `SourceIdentity` and `Policy` of an AssumeRole among them. */
  readonly requestParameters: Readonly<Record<string, string>>;
  readonly errorCode: string | undefined;
}

/** Oldest events go first: a demo may stay up for days. */
const maxEvents = 10_000;

export class Trail {
  readonly #events: TrailEvent[] = [];

  record(event: TrailEvent): void {
    this.#events.push(event);
    if (this.#events.length > maxEvents) this.#events.shift();
  }

  /** Oldest first. */
  events(eventName?: string): readonly TrailEvent[] {
    return this.#events.filter((event) => eventName === undefined || event.eventName === eventName);
  }
}
