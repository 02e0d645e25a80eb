/** How a refusal is classed; decides the HTTP status. The `code` says exactly which refusal it is. */
export type ErrorKind =
  'invalid' | 'unauthenticated' | 'forbidden' | 'not_found' | 'conflict' | 'quota' | 'unavailable';

/** Every code that a caller can meet. Part of the API: add, never rename. */
export const errorCodes = [
  // invalid
  'invalid_input',
  'invalid_id',
  'invalid_cursor',
  'invalid_duration',
  'invalid_reason',
  'invalid_start',
  'invalid_end',
  'invalid_login_name',
  'reserved_login_name',
  'unknown_region',
  'unknown_partition',
  'method_not_allowed',
  'mode_not_supported',
  'profile_not_allowed',
  'policy_too_large',
  'policy_invalid',
  'quota',
  'account_not_registered',
  // unauthenticated
  'token_missing',
  'token_invalid',
  'token_expired',
  'step_up_required',
  'key_invalid',
  'key_expired',
  'key_revoked',
  // forbidden
  'policy_denied',
  'scope_missing',
  'service_locked',
  'not_for_services',
  'acting_not_possible',
  'unknown_client',
  'unknown_person',
  'ambiguous_person',
  'own_request',
  'not_your_stage',
  'own_review',
  'origin_not_allowed',
  'not_your_grant',
  // not_found
  'route_not_found',
  'target_not_found',
  'profile_not_found',
  'request_not_found',
  'delegation_not_found',
  'grant_not_found',
  'person_not_found',
  'event_not_found',
  'event_not_sealed',
  'checkpoint_not_found',
  'account_not_found',
  'service_not_found',
  'key_not_found',
  'webhook_not_found',
  'policy_version_not_found',
  'discovery_not_found',
  'discovered_database_not_found',
  'bundle_not_mirrored',
  // conflict
  'name_taken',
  'client_taken',
  'target_in_use',
  'target_removing',
  'target_locked',
  'review_closed',
  'account_in_use',
  'service_removed',
  'webhook_disabled',
  'events_dropped',
  'key_ended',
  'policy_from_file',
  'policy_locks_out',
  'database_missing',
  'person_removed',
  'person_locked',
  'extension_pending',
  'profile_in_use',
  'request_not_pending',
  'already_voted',
  'delegation_exists',
  'grant_not_active',
  'grant_closed',
  'grant_not_started',
  'host_not_signable',
  'idempotency_mismatch',
  'plan_changed',
  'concurrent_change',
  // quota
  'too_many_requests',
  'too_many_tokens',
  'payload_too_large',
  // unavailable
  'target_unreachable',
  'target_untrusted',
  'target_not_ready',
  'target_refused',
  'aws_unavailable',
  'aws_denied',
  'identity_provider_unavailable',
  'policy_not_loaded',
  'webhook_key_missing',
  'state_unavailable',
  'internal',
] as const;
export type ErrorCode = (typeof errorCodes)[number];

/** One field that was wrong, by its path in the input. */
export interface FieldProblem {
  field: string;
  message: string;
}

/** What the sign-in behind a call must be for the call to succeed (RFC 9470). */
export interface StepUp {
  /** At most so many seconds ago. */
  readonly maxAgeSeconds?: number;
  /** By one of these authentication context classes, the preferred first. */
  readonly acrValues?: readonly string[];
}

/**
 * The only way a service refuses. The message and advice reach the caller, so neither may hold a secret.
 * @param advice one sentence a person can act on
 */
export class DomainError extends Error {
  override readonly name = 'DomainError';
  readonly fields: readonly FieldProblem[];

  constructor(
    readonly kind: ErrorKind,
    readonly code: ErrorCode,
    message: string,
    readonly advice?: string,
    options: {
      cause?: unknown;
      fields?: readonly FieldProblem[];
      retryAfterSeconds?: number;
      onRecord?: DomainError;
      stepUp?: StepUp;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.fields = options.fields ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.onRecord = options.onRecord;
    this.stepUp = options.stepUp;
  }

  /** Seconds after which the same call may succeed, when that is known. */
  readonly retryAfterSeconds: number | undefined;

  /** The refusal that this one stands for, where its caller must not learn even that. It is what goes on record. */
  readonly onRecord: DomainError | undefined;

  /** With `step_up_required`: the sign-in that would do. */
  readonly stepUp: StepUp | undefined;
}
