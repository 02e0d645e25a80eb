import type { AuditEvent } from '../audit/audit.contract.js';

/** Which events somebody wants. Lists that are empty leave nothing out. */
export interface EventFilter {
  /** `*`, `grant.*` or one action. */
  readonly events: readonly string[];
  readonly targetIds: readonly string[];
  readonly subjectIds: readonly string[];
}

type Event = Pick<AuditEvent, 'action' | 'targetId' | 'subjectId'>;

export const matches = ({ events, targetIds, subjectIds }: EventFilter, event: Event): boolean =>
  events.some((pattern) => isMatch(pattern, event.action)) &&
  isNamed(targetIds, event.targetId) &&
  isNamed(subjectIds, event.subjectId);

const isMatch = (pattern: string, action: string): boolean =>
  pattern === '*' || pattern === action || (pattern.endsWith('.*') && action.startsWith(pattern.slice(0, -1)));

const isNamed = (ids: readonly string[], id: string | null): boolean =>
  ids.length === 0 || (id !== null && ids.includes(id));

/**
 * What an event's place among others is kept by. A person first: a request, the grant it becomes and the sessions of that are
 * then one story, told in order.
 */
export const subjectOf = ({ subjectId, targetId }: Pick<AuditEvent, 'subjectId' | 'targetId'>): string =>
  subjectId !== null ? `person/${subjectId}` : targetId !== null ? `target/${targetId}` : 'usher';
