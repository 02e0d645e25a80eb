/** CloudWatch Logs, as far as reading goes. Source: Amazon CloudWatch Logs API Reference, version 2014-03-28. */
import { ApiError } from './api.ts';
import type { Call, Handlers } from './api.ts';
import { partitionOf } from './arn.ts';
import { members } from './xml.ts';
import type { XmlObject } from './xml.ts';

export interface LogEvent {
  /** Milliseconds */
  readonly timestamp: number;
  readonly message: string;
}

type Stream = LogEvent[];
const MOST_EVENTS = 10_000;

/** Groups with their streams. Tests and the demo put into them what RDS would send. */
export class LogGroups {
  readonly #accountId: string;
  readonly #region: string;
  readonly #groups = new Map<string, Map<string, Stream>>();

  constructor(accountId: string, region: string) {
    this.#accountId = accountId;
    this.#region = region;
  }

  put(group: string, stream: string, events: readonly LogEvent[]): void {
    const streams = this.#groups.get(group) ?? new Map<string, Stream>();
    this.#groups.set(group, streams);
    // a stream is told in the order of its times
    streams.set(
      stream,
      [...(streams.get(stream) ?? []), ...events].sort((a, b) => a.timestamp - b.timestamp),
    );
  }

  arn(group: string, stream = '*'): string {
    return `arn:${partitionOf(this.#region)}:logs:${this.#region}:${this.#accountId}:log-group:${group}:log-stream:${stream}`;
  }

  /** @throws ApiError ResourceNotFoundException */
  streams(group: string): ReadonlyMap<string, readonly LogEvent[]> {
    const found = this.#groups.get(group);
    if (found === undefined) throw new ApiError('ResourceNotFoundException', 'The specified log group does not exist.');
    return found;
  }
}

export const logsHandlers = (groups: LogGroups): Handlers => ({
  DescribeLogStreams: (call) => {
    const group = call.parameters.required('logGroupName');
    call.require('logs:DescribeLogStreams', groups.arn(group));
    const prefix = call.parameters.optional('logStreamNamePrefix') ?? '';
    const streams = [...groups.streams(group)].filter(([name]) => name.startsWith(prefix));
    return { logStreams: members(streams.map(([name, events]) => streamShape(groups, group, name, events))) };
  },
  GetLogEvents: (call) => {
    const group = call.parameters.required('logGroupName');
    const name = call.parameters.required('logStreamName');
    call.require('logs:GetLogEvents', groups.arn(group, name));
    const stream = groups.streams(group).get(name);
    if (stream === undefined)
      throw new ApiError('ResourceNotFoundException', 'The specified log stream does not exist.');
    return pageOf(call, within(call, stream));
  },
  FilterLogEvents: (call) => {
    const group = call.parameters.required('logGroupName');
    call.require('logs:FilterLogEvents', groups.arn(group));
    const prefix = call.parameters.optional('logStreamNamePrefix') ?? '';
    const found = [...groups.streams(group)]
      .filter(([name]) => name.startsWith(prefix))
      .flatMap(([name, events]) => within(call, events).map((event) => ({ name, event })));
    const events = found.map(({ name, event }, at) => ({
      ...eventShape(event),
      logStreamName: name,
      eventId: String(at),
    }));
    return { events: members(events.slice(0, MOST_EVENTS)) };
  },
});

const streamShape = (groups: LogGroups, group: string, name: string, events: readonly LogEvent[]): XmlObject => ({
  logStreamName: name,
  arn: groups.arn(group, name),
  firstEventTimestamp: events[0]?.timestamp,
  lastEventTimestamp: events.at(-1)?.timestamp,
  lastIngestionTime: events.at(-1)?.timestamp,
});

const eventShape = ({ timestamp, message }: LogEvent): XmlObject => ({ timestamp, message, ingestionTime: timestamp });

function within({ parameters }: Call, events: readonly LogEvent[]): LogEvent[] {
  const start = Number(parameters.optional('startTime') ?? 0);
  const end = Number(parameters.optional('endTime') ?? Number.MAX_SAFE_INTEGER);
  return events.filter(({ timestamp }) => timestamp >= start && timestamp < end);
}

/** At the end the token that was given comes back. */
function pageOf({ parameters }: Call, events: readonly LogEvent[]): XmlObject {
  const size = Math.min(Number(parameters.optional('limit') ?? MOST_EVENTS), MOST_EVENTS);
  const token = /^f\/(\d{1,12})$/.exec(parameters.optional('nextToken') ?? 'f/0')?.[1];
  if (token === undefined) throw new ApiError('InvalidParameterException', 'The specified nextToken is invalid.');
  const first = parameters.optional('startFromHead') === 'true' || parameters.optional('nextToken') !== undefined;
  const from = first ? Number(token) : Math.max(0, events.length - size);
  const page = events.slice(from, from + size);
  return {
    events: members(page.map(eventShape)),
    nextForwardToken: `f/${from + page.length}`,
    nextBackwardToken: `b/${from}`,
  };
}
