import { DomainError } from '../errors.js';

const DEPTH_LIMIT = 16;

/** What is nested deeper than any input of ours would only exhaust the stack of whoever walks through it. */
const isTooDeep = (value: unknown, left = DEPTH_LIMIT): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (left === 0 || Object.values(value).some((inner) => isTooDeep(inner, left - 1)));

/** @throws DomainError `invalid_input` */
export function refuseDeep(body: unknown): void {
  if (isTooDeep(body))
    throw new DomainError(
      'invalid',
      'invalid_input',
      'The body is nested too deeply.',
      `Nothing here takes more than ${DEPTH_LIMIT} levels.`,
    );
}
