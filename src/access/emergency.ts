import { DomainError } from '../platform/errors.js';
import type { AccessContext, EmergencyContext } from '../policy/policy.contract.js';
import type { CreateRequest } from './requests.contract.js';

/** What policy is told of an emergency: blanks around the reason are no words. */
export const asEmergency = (asked: AccessContext, reason: string): EmergencyContext => ({
  ...asked,
  reasonLength: [...reason.trim()].length,
});

/** @throws DomainError `invalid_start`: what can wait is no emergency */
export function refuseLaterEmergency({ breakGlass, startsAt }: CreateRequest): void {
  if (breakGlass !== true || startsAt === undefined) return;
  throw new DomainError(
    'invalid',
    'invalid_start',
    'In an emergency access opens at once.',
    'Leave startsAt out, or ask without breakGlass.',
  );
}
