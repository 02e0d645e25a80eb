import type { Prisma } from '../generated/prisma/client.js';
import { DomainError } from '../platform/errors.js';
import { readPolicySchema, type PolicyAbout } from './engine.js';
import {
  PolicyActivationReason,
  PolicyEffect,
  type PolicyFlaw,
  type PolicyRule,
  type PolicySet,
  type PolicyVersion,
} from './policies.contract.js';
import type { PolicyProblem } from './policy-problem.js';
import { TrialEnded } from './trial.js';

export const presentRule = ({ id, effect, advice, approvals, group, actions }: PolicyAbout): PolicyRule => ({
  id,
  effect: PolicyEffect[effect],
  advice: advice ?? null,
  approvals,
  group: group ?? null,
  actions: [...actions],
});

export const presentSet = ({
  policies,
  ...set
}: Omit<PolicySet, 'policies' | 'schema'> & { policies: readonly PolicyAbout[] }): PolicySet => ({
  number: set.number,
  source: set.source,
  sha256: set.sha256,
  text: set.text,
  schema: readPolicySchema(),
  policies: policies.map(presentRule),
  activatedAt: set.activatedAt,
  activatedBy: set.activatedBy,
});

/** A version with its author, and who let it rule. */
export const withHistory = {
  author: { select: { name: true } },
  activations: { orderBy: { id: 'desc' }, take: 20, include: { activatedBy: { select: { name: true } } } },
} as const satisfies Prisma.PolicyVersionInclude;
type Row = Prisma.PolicyVersionGetPayload<{ include: typeof withHistory }>;

/** @param active number of the version that rules */
export const presentVersion = (row: Row, active: number | undefined): PolicyVersion => ({
  id: row.id,
  number: row.number,
  sha256: row.sha256,
  authorId: row.authorId,
  author: row.author.name,
  note: row.note,
  createdAt: row.createdAt,
  active: row.number === active,
  activations: row.activations.map(({ at, activatedById, activatedBy, reason }) => ({
    at,
    byId: activatedById,
    by: activatedBy.name,
    reason: PolicyActivationReason[reason],
  })),
});

export const presentFlaw = ({ message, policy, line, column }: PolicyProblem): PolicyFlaw => ({
  message,
  policy: policy ?? null,
  line: line ?? null,
  column: column ?? null,
});

const placed = ({ message, policy, line, column }: PolicyProblem): string =>
  [
    ...(line === undefined ? [] : [`line ${line}, column ${column ?? 1}: `]),
    ...(policy === undefined ? [] : [`policy "${policy}": `]),
    message,
  ].join('');

/** @throws DomainError `policy_invalid` with each of them, when there is one */
export function refuseProblems(problems: readonly PolicyProblem[]): void {
  const [first] = problems;
  if (!first) return;
  throw new DomainError(
    'invalid',
    'policy_invalid',
    `The policy cannot be used: ${placed(first)}`,
    'Mend it and try it with POST /v1/policies/validate, which changes nothing.',
    { fields: problems.map((problem) => ({ field: 'text', message: placed(problem) })) },
  );
}

/** @throws DomainError `policy_invalid` where a trial ran out of time or memory, and whatever else it was */
export function refuseEnded(error: unknown): never {
  if (!(error instanceof TrialEnded)) throw error;
  throw new DomainError(
    'invalid',
    'policy_invalid',
    `The policy could not be tried: ${error.message}.`,
    'Make the policies simpler, or the dry run over fewer decisions.',
    { cause: error },
  );
}
