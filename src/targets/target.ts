import { v7 } from 'uuid';
import type { Endpoint as EndpointRow, Target as Row } from '../generated/prisma/client.js';
import { DomainError, type FieldProblem } from '../platform/errors.js';
import { brokenUnique } from '../platform/state/database.js';
import type { TargetFacts } from '../policy/policy.contract.js';
import type { FurtherLog } from './further-logs.contract.js';
import type {
  EndpointInput,
  EndpointKind,
  EngineMode,
  LogFormat,
  LogSource,
  Target,
  TargetEnvironment,
  TargetKind,
} from './targets.contract.js';

export type TargetRow = Row & { endpoints: EndpointRow[] };

/** What goes out: listed field by field, so that a new column is never shown by accident. */
export const presentTarget = (row: TargetRow): Target => ({
  id: row.id,
  name: row.name,
  kind: row.kind as TargetKind,
  partition: row.partition,
  region: row.region,
  accountId: row.accountId,
  resourceId: row.resourceId,
  engineVersion: row.engineVersion,
  engineMode: row.engineMode as EngineMode,
  environment: row.environment as TargetEnvironment,
  ownerGroup: row.ownerGroup,
  databases: row.databases,
  caIdentifier: row.caIdentifier,
  masterUser: row.masterUser,
  guardDatabase: row.guardDatabase,
  brokerLogin: row.brokerLogin,
  brokerAuthentication: row.brokerSecret === null ? 'iam' : 'secret',
  connectRole: row.connectRole,
  logSource: row.logSource as LogSource,
  logFormat: row.logFormat as LogFormat,
  logPlace: row.logPlace,
  furtherLogs: furtherLogsOf(row),
  enabled: row.enabled,
  endpoints: row.endpoints.map(({ id, kind, connectHost, tokenHost, port }) => ({
    id,
    kind: kind as EndpointKind,
    connectHost,
    tokenHost,
    port,
  })),
  createdAt: row.createdAt,
  updatedAt: row.updatedAt,
  removingAt: row.removingAt,
  lockedAt: row.lockedAt,
  lockReason: row.lockReason,
});

/** As they were given; the column has nothing else in it. */
export const furtherLogsOf = ({ furtherLogs }: Pick<Row, 'furtherLogs'>): FurtherLog[] =>
  (furtherLogs as unknown as FurtherLog[]).map(({ connectHost, port, place }) => ({ connectHost, port, place }));

/** @throws DomainError `target_removing`: nothing new begins on a target that is being taken off the register */
export function refuseRemoving({ name, removingAt }: Pick<Row, 'name' | 'removingAt'>): void {
  if (removingAt === null) return;
  throw new DomainError(
    'conflict',
    'target_removing',
    `The target ${name} is being taken off the register since ${removingAt.toISOString()}.`,
    'Nothing new is opened on it; ask for access to another target.',
  );
}

/** @throws DomainError `target_removing`, `target_locked`: nothing new begins on it */
export function refuseWithdrawn(target: Pick<Row, 'name' | 'removingAt' | 'lockedAt' | 'lockReason'>): void {
  refuseRemoving(target);
  if (target.lockedAt === null) return;
  throw new DomainError(
    'conflict',
    'target_locked',
    `The target ${target.name} is locked since ${target.lockedAt.toISOString()}: ${target.lockReason ?? 'no reason is known'}.`,
    'Nothing is opened on it until an administrator unlocks it.',
  );
}

export const targetFacts = (
  row: Pick<Row, 'id' | 'environment' | 'ownerGroup' | 'enabled' | 'lockedAt' | 'deletedAt' | 'tags'>,
): TargetFacts => ({
  id: row.id,
  environment: row.environment as TargetFacts['environment'],
  ownerGroup: row.ownerGroup,
  enabled: row.enabled && row.lockedAt === null && row.deletedAt === null,
  tags: row.tags as Record<string, string>,
});

/** What is kept of an endpoint: tokens are signed for its connect host where nothing else is said. */
export const endpointRow = (input: EndpointInput) => ({
  id: v7(),
  kind: input.kind,
  connectHost: input.connectHost,
  tokenHost: input.tokenHost ?? input.connectHost,
  port: input.port,
});

/** @throws DomainError `name_taken` where a name or a resource id is another target's */
export const nameTaken = (name: string) => (error: unknown) => {
  const index = brokenUnique(error);
  if (index === undefined) throw error;
  const what = index.includes('resource') ? 'This resource id' : `The name ${name}`;
  throw new DomainError('conflict', 'name_taken', `${what} is registered already.`, 'GET /v1/targets lists what is.');
};

/** Which endpoint kinds a kind of target can have, and which prefix its resource id carries. */
const shapes = new Map<string, { prefix: string; kinds: readonly string[] }>([
  ['rds-instance', { prefix: 'db-', kinds: ['instance', 'reader'] }],
  ['aurora-cluster', { prefix: 'cluster-', kinds: ['writer', 'reader', 'custom', 'instance'] }],
  ['rds-proxy', { prefix: 'prx-', kinds: ['proxy', 'writer', 'instance'] }],
]);

/** What of a target does not fit together, field by field. */
export function targetProblems(target: {
  kind: string;
  resourceId: string;
  endpoints: readonly { kind: string }[];
  brokerSecret?: string | null;
  engineMode?: string;
  logSource?: string;
  logPlace?: string | null;
}): FieldProblem[] {
  const shape = shapes.get(target.kind);
  if (!shape) return [{ field: 'kind', message: 'The kind is not known.' }];
  const problems: FieldProblem[] = [];
  if (!target.resourceId.startsWith(shape.prefix))
    problems.push({
      field: 'resourceId',
      message: `The resource id of a target of kind ${target.kind} starts with ${shape.prefix}.`,
    });
  for (const { kind } of target.endpoints)
    if (!shape.kinds.includes(kind))
      problems.push({
        field: 'endpoints',
        message: `A target of kind ${target.kind} has no endpoint of kind ${kind}, only ${shape.kinds.join(', ')}.`,
      });
  if (!writable(target.endpoints))
    problems.push({
      field: 'endpoints',
      message: 'One endpoint must be of kind writer or instance: roles are made there, also behind a proxy.',
    });
  if (target.engineMode === 'serverless' && target.kind !== 'aurora-cluster')
    problems.push({ field: 'engineMode', message: 'Only a target of kind aurora-cluster is Aurora Serverless v1.' });
  problems.push(...logProblems(target));
  if (target.kind === 'rds-proxy' && !target.brokerSecret)
    problems.push({
      field: 'brokerSecret',
      message:
        "A proxy needs brokerSecret: the IAM id is the proxy's, so the broker cannot sign its own way into the database behind it.",
    });
  return problems;
}

/** A source that needs a place has one, and no other; RDS has no log of a proxy that PostgreSQL writes. */
function logProblems(target: { kind: string; logSource?: string; logPlace?: string | null }): FieldProblem[] {
  const { kind, logSource = 'none', logPlace = null } = target;
  const problem = (field: string, message: string): FieldProblem[] => [{ field, message }];
  if (logSource === 'rds' && kind === 'rds-proxy')
    return problem(
      'logSource',
      'A proxy has no PostgreSQL log: register the database behind it, and read its log there.',
    );
  if (logSource === 'file' && !logPlace?.startsWith('/'))
    return problem(
      'logPlace',
      'A log that is read from files needs the absolute path of their directory, or of one file.',
    );
  if (logSource === 'cloudwatch' && (logPlace === null || !/^[\w/.#-]+$/.test(logPlace)))
    return problem('logPlace', 'A log that is read from CloudWatch needs the name of a log group.');
  if ((logSource === 'none' || logSource === 'rds') && logPlace !== null)
    return problem('logPlace', 'Only the sources file and cloudwatch have a place.');
  return [];
}

/** An address that is named twice with the same kind would be one endpoint with two ids. */
export function repeatedEndpoints(
  endpoints: readonly { kind: string; connectHost: string; port: number }[],
): FieldProblem[] {
  const places = endpoints.map(({ kind, connectHost, port }) => `${kind} ${connectHost}:${port}`);
  return new Set(places).size < places.length
    ? [{ field: 'endpoints', message: 'An endpoint stands there twice.' }]
    : [];
}

/** The endpoint where roles are made. */
export const writable = <E extends { kind: string }>(endpoints: readonly E[]): E | undefined =>
  endpoints.find(({ kind }) => kind === 'writer') ?? endpoints.find(({ kind }) => kind === 'instance');

/** The endpoint that people are given unless they name a kind. */
export const usual = <E extends { kind: string }>(endpoints: readonly E[]): E | undefined =>
  endpoints.find(({ kind }) => kind === 'proxy') ?? writable(endpoints);

/** Names of the fields that an update changes, with both values; nothing here is secret. */
export function changesOf<T extends object>(before: object, input: T): Record<string, { from: unknown; to: unknown }> {
  const old = before as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(input as Record<string, unknown>)
      .filter(([, to]) => to !== undefined)
      .filter(([name, to]) => JSON.stringify(old[name]) !== JSON.stringify(to))
      .map(([name, to]) => [name, { from: name === 'endpoints' ? 'replaced' : old[name], to }]),
  );
}
