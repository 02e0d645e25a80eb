import type { Prisma } from '../generated/prisma/client.js';
import type {
  Connection,
  ConnectionApprover,
  ConnectionFlag,
  ConnectionGrade,
  LoginKind,
} from './connections.contract.js';

/** A session with what its chain of evidence leads to. */
export const withEvidence = {
  flags: { select: { kind: true }, orderBy: { kind: 'asc' } },
  grant: {
    select: {
      requestId: true,
      request: {
        select: {
          ticket: true,
          planRevision: true,
          votes: {
            where: { verdict: 'approve', voidedAt: null },
            orderBy: { id: 'asc' },
            select: {
              planRevision: true,
              person: { select: { id: true, name: true } },
              delegation: { select: { delegator: { select: { id: true, name: true } } } },
            },
          },
        },
      },
    },
  },
} satisfies Prisma.ConnectionInclude;
export type ConnectionRow = Prisma.ConnectionGetPayload<{ include: typeof withEvidence }>;

/** What stands beside the rows of a page. */
export interface Beside {
  /** Names of persons by id. */
  names: ReadonlyMap<string, string>;
  /** The last look at each endpoint. */
  looks: ReadonlyMap<string, Date>;
}

/** Of a session that is there, the last look at its endpoint says when it was last seen: no row is written for that. */
export const lastSeen = (
  row: Pick<ConnectionRow, 'endedAt' | 'lastSeenAt' | 'observed'>,
  look: Date | undefined,
): Date =>
  row.endedAt === null && row.observed && look !== undefined && look > row.lastSeenAt ? look : row.lastSeenAt;

/** A yes to what was changed afterwards counts no more. */
const approvers = ({ votes, planRevision }: NonNullable<ConnectionRow['grant']>['request']): ConnectionApprover[] =>
  votes
    .filter((vote) => vote.planRevision === planRevision)
    .map(({ person: { id, name }, delegation }) => ({
      ...{ id, name },
      forPersonId: delegation?.delegator.id ?? null,
      forPersonName: delegation?.delegator.name ?? null,
    }));

export const present =
  ({ names, looks }: Beside) =>
  (row: ConnectionRow): Connection => ({
    id: row.id,
    targetId: row.targetId,
    endpointId: row.endpointId,
    login: row.login,
    loginKind: row.loginKind as LoginKind,
    database: row.database,
    clientAddress: row.clientAddress,
    clientPort: row.clientPort,
    tls: row.tls,
    tlsVersion: row.tlsVersion,
    tlsCipher: row.tlsCipher,
    applicationName: row.applicationName,
    authMethod: row.authMethod,
    grade: row.grade as ConnectionGrade,
    flags: row.flags.map(({ kind }) => kind as ConnectionFlag),
    personId: row.personId,
    personName: names.get(row.personId ?? '') ?? null,
    grantId: row.grantId,
    mintId: row.mintId,
    requestId: row.grant?.requestId ?? null,
    ticket: row.grant?.request.ticket ?? null,
    approvers: row.grant === null ? [] : approvers(row.grant.request),
    startedAt: row.startedAt,
    firstSeenAt: row.firstSeenAt,
    lastSeenAt: lastSeen(row, looks.get(row.endpointId)),
    endedAt: row.endedAt,
  });
