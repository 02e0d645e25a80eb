/** Why a field was refused. */
export class ProblemField {
  field: string;
  message: string;
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
  /** Name it when you ask for help: it is in the log and in the audit */
  correlationId: string;
}
