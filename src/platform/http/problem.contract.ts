/** Why a field was refused. */
export class ProblemField {
  field: string;
  message: string;
}

/** A sign-in that would do (RFC 9470): what a client asks its provider for, then makes the same call with the new token. */
export class ProblemStepUp {
  /** At most so many seconds ago: `max_age` of the sign-in */
  maxAgeSeconds?: number;
  /** By one of these, the preferred first: `acr_values` of the sign-in */
  acrValues?: string[];
}

/** Problem details, RFC 9457. `code` is stable; `detail` and `advice` are for people and may change. */
export class Problem {
  /** URI of the kind of problem */
  type: string;
  title: string;
  status: number;
  /** What happened */
  detail: string;
  /** Stable name of the refusal */
  code: string;
  /** What to do about it */
  advice?: string;
  /** The fields that were wrong */
  fields?: ProblemField[];
  /** With step_up_required: the sign-in that would do */
  stepUp?: ProblemStepUp;
  /** Name it when you ask for help: it is in the log and in the audit */
  correlationId: string;
}
