import { DomainError } from '../platform/errors.js';
import { asOf, toCedar, type Question } from './question.js';
import type { Trial } from './trial.js';

/** Asked as of then too: a right that ends by itself would lock everybody out when nobody looks. */
const YEARS_AHEAD = 10;

/**
 * Nobody shuts the door behind everybody: under the new set whoever changes it may still change it, now and in ten years, and by
 * a permit for a group, so that it does not hang on one person.
 * @param question whether this administrator may `administerPolicies`
 * @throws DomainError `policy_locks_out`
 * @throws TrialEnded
 */
export async function refuseLockout(trial: Trial, question: Question): Promise<void> {
  const later = new Date(question.context.now);
  later.setUTCFullYear(later.getUTCFullYear() + YEARS_AHEAD);
  const asked = toCedar(question);
  const decisions = await trial.decide([asked, asOf(asked, later)]);
  const forGroups = new Set(trial.policies.filter(({ group }) => group !== undefined).map(({ id }) => id));
  const [today, inYears] = decisions;
  if (!today?.allowed) throw lockedOut('Under this policy you could not change policy any more.', today?.policies);
  if (!inYears?.allowed)
    throw lockedOut('Under this policy your right to change it would end by itself.', inYears?.policies);
  if (decisions.every(({ policies }) => policies.some((id) => forGroups.has(id)))) return;
  throw lockedOut('Under this policy the right to change it would not come from a group.', today.policies);
}

const lockedOut = (what: string, by: readonly string[] = []): DomainError =>
  new DomainError(
    'conflict',
    'policy_locks_out',
    by.length > 0 ? `${what.slice(0, -1)} (${by.join(', ')}).` : what,
    'Keep a permit that lets a group of yours do it: permit (principal in Usher::Group::"…", action == Usher::Action::"administerPolicies", resource);',
  );
