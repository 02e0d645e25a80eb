import type { AuditFilter } from './audit.contract.js';

/** Puts a value beside the statement. @returns what stands for it there, `$1` for the first */
export type Bind = (value: unknown) => string;

/** Which lines somebody may see: all, else those about or by this person and those of the targets named. */
export interface AuditScope {
  all: boolean;
  personId: string | null;
  targetIds: readonly string[];
}

/**
 * Lines that one walk through an index finds, in the order of their ids. `e` is the line.
 * Where there are many values for one column, `each` names them: a walk for each keeps the order, where `= ANY` would sort.
 */
export interface Way {
  readonly conditions: readonly ((bind: Bind) => string)[];
  readonly each: readonly Each[];
}

interface Each {
  readonly column: string;
  /** A table of ids. */
  readonly source: (bind: Bind) => string;
}

/**
 * The ways to the lines that are asked for; two may lead to the same line. PostgreSQL finds `a OR b` in order only by walking
 * everything or by sorting all that it found: as two ways each has the order of its index, and ends when a page is full. That they
 * leave out what another finds would cost more than to find it twice: who acts for themselves alone has no line but such.
 */
export function waysTo(filter: AuditFilter, scope: AuditScope): Way[] {
  const choices = [
    ...(filter.person === undefined ? [] : [either('subject_id', 'actor_id', filter.person)]),
    ...(filter.service === undefined ? [] : [either('via_service_id', 'actor_id', filter.service)]),
    ...(filter.ticket === undefined ? [] : [[ofTicket(filter.ticket)]]),
    ...(scope.all ? [] : [seen(scope)]),
  ];
  const plain: Way[] = [{ conditions: [...equalities(filter), ...ranges(filter)], each: [] }];
  return choices.reduce((ways, choice) => ways.flatMap((way) => choice.map((one) => both(one, way))), plain);
}

const both = (one: Way, other: Way): Way => ({
  conditions: [...one.conditions, ...other.conditions],
  each: [...one.each, ...other.each],
});

const way = (...conditions: Way['conditions']): Way => ({ conditions, each: [] });

const is = (column: string, value: string) => (bind: Bind) => `e.${column} = ${bind(value)}`;

const either = (one: string, other: string, value: string): Way[] => [way(is(one, value)), way(is(other, value))];

function seen({ personId, targetIds }: AuditScope): Way[] {
  const own = personId === null ? [] : either('subject_id', 'actor_id', personId);
  if (targetIds.length === 0) return own;
  const source = (bind: Bind): string => `unnest(${bind(targetIds)}::uuid[]) AS of(id)`;
  return [...own, { conditions: [], each: [{ column: 'target_id', source }] }];
}

/** A line has the ticket of its request: only those that begin a request say it themselves. */
function ofTicket(ticket: string): Way {
  const source = (bind: Bind): string => {
    const value = bind(ticket);
    return `(SELECT id FROM request WHERE ticket = ${value} UNION
             SELECT request_id FROM audit_event WHERE details->>'ticket' = ${value} AND request_id IS NOT NULL) AS of(id)`;
  };
  return { conditions: [], each: [{ column: 'request_id', source }] };
}

function equalities({ target, grant, request, action, outcome }: AuditFilter): Way['conditions'] {
  return Object.entries({ target_id: target, grant_id: grant, request_id: request, action })
    .flatMap(([column, value]) => (value === undefined ? [] : [is(column, value)]))
    .concat(outcome === undefined ? [] : [(bind) => `e.outcome = ${bind(outcome)}::"Outcome"`]);
}

function ranges({ address, reason, from, to }: AuditFilter): Way['conditions'] {
  return [
    ...(address === undefined ? [] : [within(address)]),
    ...(reason === undefined ? [] : [says(reason)]),
    ...(from === undefined
      ? []
      : [(bind: Bind) => `e.at >= ${bind(from)} AND e.id >= ${bind(firstId(from, -SLACK_MS))}`]),
    ...(to === undefined ? [] : [(bind: Bind) => `e.at < ${bind(to)} AND e.id < ${bind(firstId(to, SLACK_MS))}`]),
  ];
}

/** Said in words of the index, bounds included: an index knows nothing of `<<=` for a value that comes later. */
const within = (address: string) => (bind: Bind) => {
  const value = bind(address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, ''));
  const line = 'audit_network(e.address)';
  return address.includes('/')
    ? `e.address IS NOT NULL AND ${line} >= host(network(${value}::inet))::inet AND ${line} <= host(broadcast(${value}::inet))::inet`
    : `e.address IS NOT NULL AND ${line} = ${value}::inet`;
};

const says = (words: string) => (bind: Bind) =>
  `e.details->>'reason' IS NOT NULL AND to_tsvector('simple', e.details->>'reason') @@ websearch_to_tsquery('simple', ${bind(words)})`;

/** The time in an id and that of its line are of the same moment; between two machines, or a line and its id, is never a day. */
const SLACK_MS = 86_400_000;

/** The lowest id of a moment: UUID version 7 begins with its milliseconds since 1970 (RFC 9562, 5.7). */
const firstId = (moment: Date, slack: number): string =>
  (moment.getTime() + slack)
    .toString(16)
    .padStart(12, '0')
    .padEnd(32, '0')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
