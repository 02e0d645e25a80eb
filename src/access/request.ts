import type { Prisma } from '../generated/prisma/client.js';
import { humanOf } from '../identity/standing.js';
import { DomainError } from '../platform/errors.js';
import type { RequestFacts } from '../policy/policy.contract.js';
import type { IamMode } from '../grants/grants.contract.js';
import { profileFacts } from '../targets/profile.js';
import { targetFacts } from '../targets/target.js';
import { keptStage, type Stage } from '../targets/stages.js';
import type { LoginMethod, Sensitivity } from '../targets/targets.contract.js';
import { openStage, progressOf, stagesOf, type Progress } from './quorum.js';
import type { AccessRequest, Plan, RequestKind, RequestStage, RequestState, Verdict } from './requests.contract.js';

export const withVotes = {
  person: { select: { name: true, email: true } },
  profile: true,
  target: true,
  votes: {
    include: { person: { select: { name: true, email: true, locked: true, removedAt: true } } },
    orderBy: { id: 'asc' },
  },
  grant: { select: { id: true, state: true } },
  extends: { select: { groups: true, connectionLimit: true, createsRoles: true, startsAt: true, endsAt: true } },
  replacedBy: { select: { id: true } },
  viaService: { select: { name: true } },
} satisfies Prisma.RequestInclude;

export type RequestRow = Prisma.RequestGetPayload<{ include: typeof withVotes }>;

export const presentRequest = (row: RequestRow): AccessRequest => ({
  id: row.id,
  kind: row.kind as RequestKind,
  targetId: row.targetId,
  profileId: row.profileId,
  personId: row.personId,
  personName: row.person.name,
  viaServiceId: row.viaServiceId,
  viaServiceName: row.viaService?.name ?? null,
  database: row.database,
  durationMinutes: row.durationMinutes,
  reason: row.reason,
  ticket: row.ticket,
  breakGlass: row.breakGlass,
  startsAt: row.startsAt,
  method: row.method as LoginMethod,
  mode: row.mode as IamMode,
  state: row.state as RequestState,
  approvalsNeeded: row.approvalsNeeded,
  stages: presentStages(row),
  votes: row.votes.map(({ personId, person, verdict, comment, planRevision, stage, createdAt }) => ({
    personId,
    personName: person.name,
    verdict: verdict as Verdict,
    comment,
    planRevision,
    stage,
    at: createdAt,
  })),
  policies: row.policies,
  plan: planOf(row),
  planRevision: row.planRevision,
  grantId: row.grant?.id ?? (row.state === 'approved' ? row.extendsId : null),
  extendsId: row.extendsId,
  replacesId: row.replacesId,
  replacedById: row.replacedBy?.id ?? null,
  createdAt: row.createdAt,
  editedAt: row.editedAt,
  decideBy: row.decideBy,
  decidedAt: row.decidedAt,
  closeReason: row.closeReason,
});

function presentStages(row: RequestRow): RequestStage[] {
  if (row.approvalsNeeded === 0) return [];
  const stages = progress(row);
  const open = row.state === 'pending' ? openStage(stages) : undefined;
  return stages.map((stage, index) => ({ ...keptStage(stage), agreed: stage.agreed, open: index + 1 === open }));
}

/** The plan as it was shown; in the store its instants are text. */
export function planOf(row: Pick<RequestRow, 'plan'>): Plan {
  // what was shown before a plan named them has none of these
  const plan = row.plan as unknown as Omit<Plan, 'endsAt' | 'createsRoles' | 'sensitivity'> & {
    endsAt?: string | null;
    createsRoles?: boolean;
    sensitivity?: Sensitivity;
  };
  const { createsRoles = false, sensitivity = null } = plan;
  return { ...plan, createsRoles, sensitivity, endsAt: plan.endsAt ? new Date(plan.endsAt) : null };
}

/** A plan as the store keeps it. */
export const keptPlan = (plan: Plan): Prisma.InputJsonObject =>
  ({ ...plan, endsAt: plan.endsAt?.toISOString() ?? null }) as unknown as Prisma.InputJsonObject;

export const requestFacts = (row: RequestRow): RequestFacts => ({
  id: row.id,
  requesterId: row.personId,
  profile: profileFacts(row.profile, targetFacts(row.target)),
  approverIds: approvers(row),
  stageGroups: row.approverGroups,
  stagePeople: row.approverPeople,
  viaServiceId: row.viaServiceId,
});

/** A vote is for one plan: those for a plan that was renewed since say nothing of the present one. */
const present = (row: RequestRow): RequestRow['votes'] =>
  row.votes.filter(({ planRevision }) => planRevision === row.planRevision);

/** @param human see {@link humanOf} */
export const hasVoted = (row: RequestRow, human: string): boolean => present(row).some((vote) => voter(vote) === human);

/** Who asked, and every other row of that human. */
export const isRequester = (row: RequestRow, human: string): boolean =>
  humanOf({ id: row.personId, email: row.person.email }) === human;

const voter = ({ personId, person }: RequestRow['votes'][number]): string =>
  humanOf({ id: personId, email: person.email });

/** A yes to the present plan of somebody who is still here; a human other than who asked. */
const agreeing = (row: RequestRow): RequestRow['votes'] =>
  present(row).filter(
    (vote) =>
      vote.verdict === 'approve' &&
      vote.person.removedAt === null &&
      !vote.person.locked &&
      vote.personId !== row.personId &&
      !isRequester(row, voter(vote)),
  );

const approvers = (row: RequestRow): string[] => agreeing(row).map(({ personId }) => personId);

/** How far each stage is, by those who agreed to the present plan. */
export const progress = (row: RequestRow): Progress[] =>
  progressOf(
    stagesOf(row),
    agreeing(row).map((vote) => ({ human: voter(vote), stage: vote.stage })),
  );

/** Humans other than the requester who agreed to the present plan; nobody counts twice, and nobody who was removed or is locked. */
export const approvals = (row: RequestRow): number => progress(row).reduce((sum, { agreed }) => sum + agreed, 0);

/** The columns of a request that hold its stages: as they are, and everybody whom they name. */
export const keptStages = (stages: readonly Stage[]) => ({
  stages: stages.map(keptStage),
  approverGroups: [...new Set(stages.flatMap(({ groups }) => groups))],
  approverPeople: [...new Set(stages.flatMap(({ people }) => people))],
});

/** When access begins and ends, counted from the moment of the last yes. */
export function period(
  ask: { startsAt: Date | null; durationMinutes: number },
  now: Date,
): { startsAt: Date; endsAt: Date } {
  const startsAt = ask.startsAt !== null && ask.startsAt > now ? ask.startsAt : now;
  return { startsAt, endsAt: new Date(startsAt.getTime() + ask.durationMinutes * 60_000) };
}

export const alreadyVoted = (): DomainError =>
  new DomainError(
    'conflict',
    'already_voted',
    'You have decided on this request already.',
    'Somebody else must decide now.',
  );

export const notPending = (state: string): DomainError =>
  new DomainError(
    'conflict',
    'request_not_pending',
    `The request is ${state} already.`,
    'Only a pending request can be decided, changed or cancelled.',
  );

/** @throws DomainError `own_request` for who asked, under whichever of their names */
export function refuseOwn(row: RequestRow, human: string): void {
  if (!isRequester(row, human)) return;
  throw new DomainError(
    'forbidden',
    'own_request',
    'This request is your own: you and who asked have the same verified e-mail address.',
    'Somebody else must approve it; you may cancel it.',
  );
}
