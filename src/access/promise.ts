import { isDeepStrictEqual } from 'node:util';
import { minutesTo } from '../grants/lifecycle.js';
import { DomainError } from '../platform/errors.js';
import { planCalls } from '../postgres/postgres.contract.js';
import type { ProfileRow } from '../targets/profile.js';
import { planOf, type RequestRow } from './request.js';
import type { Plan } from './requests.contract.js';

const MINUTE_MS = 60_000;

/**
 * The profile as the plan of a request must show it now: as it stands, or for a grant that lives as it was agreed, for that
 * is never changed.
 */
export const promised = ({
  profile,
  extends: grant,
}: {
  profile: ProfileRow;
  extends: { groups: string[]; connectionLimit: number; createsRoles: boolean } | null;
}): ProfileRow => {
  if (!grant) return profile;
  const { groups, connectionLimit, createsRoles } = grant;
  return { ...profile, groups, connectionLimit, createsRoles };
};

/** The end that an extension sets: counted from the present one, which somebody may have moved since. Null for access. */
export const extendedEnd = ({
  extends: grant,
  durationMinutes,
}: {
  extends: { endsAt: Date } | null;
  durationMinutes: number;
}): Date | null => grant && new Date(grant.endsAt.getTime() + durationMinutes * MINUTE_MS);

/**
 * Whether what was shown is what would be done now, statement by statement, and to data that is still thought of as it was. Asks only Usher's own rows: the target has its
 * word when the grant is opened, where its guard refuses whatever differs from the plan.
 */
export function isAsShown(row: RequestRow): boolean {
  const shown = planOf(row);
  const { login, personId: person, method } = row;
  const [endsAt, grantId] = [extendedEnd(row), row.grantId ?? row.extendsId];
  const profile = promised(row);
  if (shown.sensitivity !== null && shown.sensitivity !== profile.sensitivity) return false;
  const statements = planCalls({ login, person, profile, method, grantId, endsAt, serverMajor: shown.serverMajor });
  return isDeepStrictEqual(statements, shown.statements);
}

/** @throws DomainError for a request that its profile gives no more, whatever the plan says */
export function refuseOutgrown(row: Outgrown): void {
  const { name, methods, maxMinutes, deletedAt } = row.profile;
  const end = extendedEnd(row);
  const minutes = row.extends && end ? minutesTo(row.extends, end) : row.durationMinutes;
  const refuse = (code: 'invalid_duration' | 'method_not_allowed' | 'profile_not_found', message: string): never => {
    throw new DomainError('invalid', code, message, 'Deny the request, and let the person ask anew.');
  };
  if (deletedAt !== null) refuse('profile_not_found', `Profile ${name} was withdrawn.`);
  if (!methods.includes(row.method))
    refuse('method_not_allowed', `Profile ${name} cannot be had by ${row.method} any more.`);
  if (minutes > maxMinutes) refuse('invalid_duration', `Profile ${name} gives at most ${maxMinutes} minutes by now.`);
}

type Outgrown = Pick<RequestRow, 'durationMinutes' | 'method' | 'extends'> & {
  profile: Pick<ProfileRow, 'name' | 'methods' | 'maxMinutes' | 'deletedAt'>;
};

/** What the plan says of the profile, for the record. */
export const promiseOf = ({
  groups,
  connectionLimit,
  sensitivity,
  createsRoles,
  endsAt,
}: Plan): Record<string, unknown> => ({
  groups,
  connectionLimit,
  sensitivity,
  ...(createsRoles && { createsRoles }),
  endsAt,
});

/**
 * Who asked may have changed it in the moment before the yes: then the yes must name what it is for.
 * @throws DomainError `plan_changed` for a yes to another plan than the present one, and to no particular one of several
 */
export function refuseRevision(
  { planRevision, editedAt }: Pick<RequestRow, 'planRevision' | 'editedAt'>,
  revision: number | undefined,
): void {
  if (revision === undefined ? editedAt !== null : revision !== planRevision) throw planChanged(planRevision);
}

export const planChanged = (revision: number): DomainError =>
  new DomainError(
    'conflict',
    'plan_changed',
    `What would be done is no longer what you were shown: the plan is at revision ${revision}, and votes for an earlier one do not count.`,
    `Look at the plan with GET /v1/requests/{id}, then approve with {"revision":${revision}}.`,
  );
