import type {
  Grant as Row,
  Person as PersonRow,
  Profile as ProfileRow,
  Target as TargetRow,
} from '../generated/prisma/client.js';
import type { Prisma } from '../generated/prisma/client.js';
import type { GrantFacts } from '../policy/policy.contract.js';
import { profileFacts } from '../targets/profile.js';
import { targetFacts } from '../targets/target.js';
import type { LoginMethod } from '../targets/targets.contract.js';
import type { Grant, GrantState, IamMode } from './grants.contract.js';
import { isLive } from './lifecycle.js';

/** A grant with what is needed to show it and to ask policy about it. */
export const withNeighbours = {
  person: true,
  profile: true,
  target: { include: { endpoints: { orderBy: { id: 'asc' } } } },
} satisfies Prisma.GrantInclude;

export type GrantRow = Prisma.GrantGetPayload<{ include: typeof withNeighbours }>;

export const presentGrant = (row: Row & { person: Pick<PersonRow, 'name'> }): Grant => ({
  id: row.id,
  requestId: row.requestId,
  targetId: row.targetId,
  profileId: row.profileId,
  personId: row.personId,
  personName: row.person.name,
  login: row.login,
  database: row.database,
  method: row.method as LoginMethod,
  mode: row.mode as IamMode,
  principalArn: row.principalArn,
  state: row.state as GrantState,
  startsAt: row.startsAt,
  endsAt: row.endsAt,
  openedAt: row.openedAt,
  closingSince: row.closingSince,
  closedAt: row.closedAt,
  closeReason: row.closeReason,
  attempts: row.attempts,
  lastError: row.lastError,
  retryAfterSeconds: retryAfter(row),
  createdAt: row.createdAt,
});

/** Tries go by the clock of the job engine, which is the machine's. */
const retryAfter = ({ state, nextAttemptAt }: Row): number | null =>
  state !== 'opening' || nextAttemptAt === null
    ? null
    : Math.max(1, Math.ceil((nextAttemptAt.getTime() - Date.now()) / 1000));

export const grantFacts = (row: Row & { profile: ProfileRow; target: TargetRow }, now: Date): GrantFacts => ({
  id: row.id,
  holderId: row.personId,
  profile: profileFacts(row.profile, targetFacts(row.target)),
  live: isLive(row, now),
  expiresAt: row.endsAt,
});

/** Live, and by it nobody is connected, nor was since then. */
export const unusedSince = (then: Date): Prisma.GrantWhereInput => ({
  state: 'active',
  connections: { none: { OR: [{ endedAt: null }, { lastSeenAt: { gte: then } }] } },
});

/** What an audit line about a grant is about. */
export const subjectOf = (grant: { id: string; requestId: string; targetId: string; personId: string }) => ({
  grantId: grant.id,
  requestId: grant.requestId,
  targetId: grant.targetId,
  subjectId: grant.personId,
});
