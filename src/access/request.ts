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
import type {
  AccessRequest,
  Plan,
  RequestKind,
  RequestStage,
  RequestState,
  Verdict,
  Vote,
} from './requests.contract.js';

export const withVotes = {
  person: { select: { name: true, email: true } },
  profile: true,
  target: true,
  votes: {
    include: {
      person: { select: { name: true, email: true, locked: true, removedAt: true } },
      delegation: {
        select: {
          delegatorId: true,
          delegator: { select: { name: true, email: true, locked: true, removedAt: true } },
        },
      },
    },
    orderBy: { id: 'asc' },
  },
  grant: { select: { id: true, state: true } },
  extends: { select: { groups: true, connectionLimit: true, createsRoles: true, startsAt: true, endsAt: true } },
  replacedBy: { select: { id: true } },
  viaService: { select: { name: true } },
} satisfies Prisma.RequestInclude;

export type RequestRow = Prisma.RequestGetPayload<{ include: typeof withVotes }>;
type VoteRow = RequestRow['votes'][number];

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
  votes: row.votes.map(presentVote),
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

const presentVote = (row: VoteRow): Vote => ({
  personId: row.personId,
  personName: row.person.name,
  forPersonId: row.delegation?.delegatorId ?? null,
  forPersonName: row.delegation?.delegator.name ?? null,
  verdict: row.verdict as Verdict,
  comment: row.comment,
  planRevision: row.planRevision,
  stage: row.stage,
  at: row.createdAt,
  voidedAt: row.voidedAt,
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

/** A vote is for one plan: those for a plan that was renewed since say nothing of the present one, nor do those that are void. */
const present = (row: RequestRow): VoteRow[] =>
  row.votes.filter(({ planRevision, voidedAt }) => planRevision === row.planRevision && voidedAt === null);

/**
 * Whether a human has voted, or somebody did in their place.
 * @param human see {@link humanOf}
 */
export const hasVoted = (row: RequestRow, human: string): boolean =>
  present(row).some((vote) => humansOf(vote).includes(human));

/** Who asked, and every other row of that human. */
export const isRequester = (row: RequestRow, human: string): boolean =>
  humanOf({ id: row.personId, email: row.person.email }) === human;

/** Whose vote it is, and who gave it where that is somebody else. */
const giversOf = ({ personId, person, delegation }: VoteRow) => [
  ...(delegation ? [{ ...delegation.delegator, id: delegation.delegatorId }] : []),
  { ...person, id: personId },
];
const humansOf = (vote: VoteRow): string[] => giversOf(vote).map(humanOf);

/** A yes to the present plan of somebody who is still here; humans other than who asked. */
const agreeing = (row: RequestRow): VoteRow[] =>
  present(row).filter(
    (vote) =>
      vote.verdict === 'approve' &&
      giversOf(vote).every(
        (giver) =>
          giver.removedAt === null && !giver.locked && giver.id !== row.personId && !isRequester(row, humanOf(giver)),
      ),
  );

const approvers = (row: RequestRow): string[] => [
  ...new Set(agreeing(row).flatMap((vote) => giversOf(vote).map(({ id }) => id))),
];

/** How far each stage is, by those who agreed to the present plan. */
export const progress = (row: RequestRow): Progress[] =>
  progressOf(
    stagesOf(row),
    agreeing(row).map((vote) => ({ humans: humansOf(vote), stage: vote.stage })),
  );

/** The stage whose people decide now; undefined when all are full. */
export function openStageOf(row: RequestRow): Progress | undefined {
  const stages = progress(row);
  return stages[(openStage(stages) ?? 0) - 1];
}

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
    'You have decided on this request already, or somebody did in your place.',
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
