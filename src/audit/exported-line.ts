import type { RecordedLine } from './entry.js';

/** A line of the record as it is exported: instants and details are text, for to read them would cost more than all else. */
export interface ExportedLine extends RecordedLine {
  /** Its place in the sealed record: counts from 1, in the order of commits. */
  readonly sequence: number;
}
