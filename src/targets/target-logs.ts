import type { FieldProblem } from '../platform/errors.js';
import type { FurtherLog } from './further-logs.contract.js';
import { furtherLogsOf, writable, type TargetRow } from './target.js';
import type { LogSource, UpdateTarget } from './targets.contract.js';

/** What is kept of further logs. */
export const furtherLogRows = (logs: readonly FurtherLog[]) =>
  logs.map(({ connectHost, port, place }) => ({ connectHost, port, place }));

/** Where the logs are read after an update: another source has other places, or none. */
export function logsAfter(
  before: TargetRow,
  { logSource = before.logSource as LogSource, logPlace, furtherLogs }: UpdateTarget,
) {
  const same = logSource === before.logSource;
  return {
    logSource,
    logPlace: logPlace ?? (same ? before.logPlace : null),
    furtherLogs: furtherLogRows(furtherLogs ?? (same ? furtherLogsOf(before) : [])),
  };
}

/** How the place of a log is written, by its source. */
const places = new Map<string, RegExp>([
  ['file', /^\//],
  ['cloudwatch', /^[\w/.#-]+$/],
  ['rds', /^[a-zA-Z](?:-?[a-zA-Z0-9]){0,62}$/],
]);

/** Of two places of files, what is read at the one may be read at the other too. */
const holds = (one: string, other: string): boolean => other.startsWith(one.endsWith('/') ? one : `${one}/`);

/** Each further log is that of a server that has an endpoint of its own, and stands in a place of its own. */
export function furtherLogProblems(target: {
  logSource?: string;
  logPlace?: string | null;
  furtherLogs?: readonly FurtherLog[];
  endpoints: readonly { kind: string; connectHost: string; port: number }[];
}): FieldProblem[] {
  const { logSource = 'none', logPlace = null, furtherLogs: logs = [], endpoints } = target;
  const problem = (message: string): FieldProblem => ({ field: 'furtherLogs', message });
  if (logs.length === 0) return [];
  const place = places.get(logSource);
  if (place === undefined) return [problem('Further logs are read only where logSource says how.')];
  const others = endpoints.filter((one) => one !== writable(endpoints) && leadsToOne(one));
  const addresses = new Set(others.map(addressOf));
  const problems = logs.flatMap((log) => [
    ...(addresses.has(addressOf(log))
      ? []
      : [
          problem(
            `${addressOf(log)} is no reader or instance endpoint of the target beside the one that logPlace is of.`,
          ),
        ]),
    ...(place.test(log.place) ? [] : [problem(`${log.place} is no place of a log of the source ${logSource}.`)]),
  ]);
  const all = [...(logPlace === null ? [] : [logPlace]), ...logs.map((log) => log.place)];
  if (logSource === 'file')
    for (const one of all)
      for (const other of all)
        if (one !== other && holds(one, other))
          problems.push(problem(`${other} is inside ${one}: give the log of each server a place apart.`));
  const taken = [...logs.map(addressOf), ...all];
  return new Set(taken).size < taken.length
    ? [...problems, problem('One server, or one place, stands there twice.')]
    : problems;
}

const addressOf = ({ connectHost, port }: { connectHost: string; port: number }): string => `${connectHost}:${port}`;
const leadsToOne = ({ kind }: { kind: string }): boolean => kind === 'reader' || kind === 'instance';
