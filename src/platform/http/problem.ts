import { HttpException } from '@nestjs/common';
import { currentCall } from '../call.js';
import { DomainError, type ErrorCode, type ErrorKind, type StepUp } from '../errors.js';
import type { Problem, ProblemStepUp } from './problem.contract.js';

const statusOf: Record<ErrorKind, number> = {
  invalid: 422,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  quota: 429,
  unavailable: 503,
};

const titleOf: Record<ErrorKind, string> = {
  invalid: 'The input cannot be used',
  unauthenticated: 'Who you are could not be established',
  forbidden: 'Not allowed',
  not_found: 'Not found',
  conflict: 'The state of things does not allow it',
  quota: 'Too much',
  unavailable: 'Something that is needed is not available',
};

/** Refusals that are of the form of the message itself keep the status that HTTP has for them. */
const statusByCode: Partial<Record<ErrorCode, number>> = {
  invalid_input: 400,
  invalid_id: 400,
  invalid_cursor: 400,
  payload_too_large: 413,
  internal: 500,
};

/** Prisma's and PostgreSQL's codes for a database that cannot be reached, is full, or is going down. */
const STATE_DOWN = new Set([
  'P1001',
  'P1002',
  'P1008',
  'P1017',
  'P2024',
  'ECONNREFUSED',
  'ECONNRESET',
  '53300',
  '57P01',
  '57P03',
]);

/** Any error as the refusal it means. What is not a DomainError says nothing of itself to the caller: the log has it. */
export function toDomainError(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  if (STATE_DOWN.has(String((error as { code?: unknown } | null)?.code)))
    return new DomainError(
      'unavailable',
      'state_unavailable',
      "Usher's own database does not answer.",
      'Try again in a moment; if it stays, tell whoever runs Usher.',
      {
        cause: error,
      },
    );
  const status =
    error instanceof HttpException ? error.getStatus() : (error as { statusCode?: unknown } | null)?.statusCode;
  switch (status) {
    case 403: // a path that leads out of the documentation's files
    case 404:
      return new DomainError(
        'not_found',
        'route_not_found',
        'There is no such route.',
        'The routes are listed at /docs.',
      );
    case 413:
      return new DomainError('quota', 'payload_too_large', 'The body is too large.', 'A body may have 64 KiB.');
    case 400:
    case 415:
      return new DomainError(
        'invalid',
        'invalid_input',
        'The body could not be read.',
        'Send JSON with Content-Type: application/json.',
      );
    default:
      return new DomainError(
        'unavailable',
        'internal',
        'Usher failed to do this.',
        'Try again; if it stays, give the correlation id to whoever runs Usher.',
        { cause: error },
      );
  }
}

export function toProblem(error: DomainError): Problem {
  return {
    type: `urn:usher:problem:${error.code}`,
    title: titleOf[error.kind],
    status: statusByCode[error.code] ?? statusOf[error.kind],
    detail: error.message,
    code: error.code,
    ...(error.advice !== undefined && { advice: error.advice }),
    ...(error.fields.length > 0 && { fields: [...error.fields] }),
    ...(error.stepUp && { stepUp: presentStepUp(error.stepUp) }),
    correlationId: currentCall()?.correlationId ?? 'none',
  };
}

const presentStepUp = ({ maxAgeSeconds, acrValues }: StepUp): ProblemStepUp => ({
  ...(maxAgeSeconds !== undefined && { maxAgeSeconds }),
  ...(acrValues !== undefined && { acrValues: [...acrValues] }),
});

/** What `WWW-Authenticate` says of a refusal of kind `unauthenticated` (RFC 6750 §3; with a step-up RFC 9470 §3). */
export function challenge({ message, stepUp }: DomainError): string {
  if (!stepUp) return 'Bearer realm="usher"';
  const { maxAgeSeconds, acrValues } = stepUp;
  const parameters = {
    realm: 'usher',
    error: 'insufficient_user_authentication',
    error_description: message.replace(/[^\x20-\x7e]|["\\]/g, ' '),
    ...(maxAgeSeconds !== undefined && { max_age: String(maxAgeSeconds) }),
    ...(acrValues !== undefined && { acr_values: acrValues.join(' ') }),
  };
  const said = Object.entries(parameters).map(([name, value]) => `${name}="${value}"`);
  return `Bearer ${said.join(', ')}`;
}
