/** A line of the record as it is exported. Instants and details are text, as the database writes them: reading them would cost more than all else. */
export interface ExportedLine {
  /** The place in the sealed record: counts from 1, in the order of commits. */
  readonly sequence: number;
  readonly id: string;
  /** ISO 8601 with milliseconds, UTC */
  readonly at: string;
  readonly actorKind: string;
  readonly actorId: string | null;
  readonly actorName: string;
  readonly viaServiceId: string | null;
  readonly viaName: string | null;
  readonly subjectId: string | null;
  readonly action: string;
  readonly outcome: string;
  readonly targetId: string | null;
  readonly requestId: string | null;
  readonly grantId: string | null;
  readonly code: string | null;
  /** A JSON object */
  readonly details: string;
  readonly address: string | null;
  readonly correlationId: string;
}
