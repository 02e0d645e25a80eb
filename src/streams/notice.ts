import type { AuditOutcome } from '../audit/audit.contract.js';
import type { AuditAction } from '../audit/events.js';
import type { SealedEvent } from '../audit/feed.service.js';

/**
 * What of the record a stream tells of: that which changes what its list shows. What else happens around a request or a grant, such as
 * a token or a diagnosis, is in no list either.
 */
export const toldOf = {
  request: [
    ...['request.create', 'request.edit', 'request.breakGlass', 'request.approve', 'request.deny'],
    ...['request.cancel', 'request.expire', 'request.replan', 'request.replace'],
  ],
  grant: [
    ...['grant.create', 'grant.opening', 'grant.active', 'grant.revoke', 'grant.closing', 'grant.closed'],
    ...['grant.failed', 'grant.extend', 'grant.shorten', 'grant.fault', 'grant.fenced', 'grant.sessionsEnded'],
  ],
  flag: ['connection.flagged'],
} as const satisfies Record<string, readonly AuditAction[]>;
export type Noun = keyof typeof toldOf;

/** As much of a line as streams need: it is kept in memory, and shown to nobody who may not see the row that it is about. */
export interface Notice {
  readonly sequence: number;
  readonly at: Date;
  readonly noun: Noun;
  readonly action: string;
  readonly outcome: AuditOutcome;
  readonly targetId: string | null;
  readonly subjectId: string | null;
  /** Of the request, of the grant, or of sessions. */
  readonly ids: readonly string[];
  /** What was flagged. */
  readonly flags: readonly string[];
}

/** Which of them somebody wants. */
export interface NoticeFilter {
  readonly target?: string;
  readonly person?: string;
}

const nounOf = new Map<string, Noun>(
  Object.entries(toldOf).flatMap(([noun, actions]) => actions.map((action) => [action, noun as Noun] as const)),
);

/** Undefined where no stream tells of it, also where what it was about was redacted. */
export function noticeOf({ sequence, event }: SealedEvent): Notice | undefined {
  const noun = nounOf.get(event.action);
  if (noun === undefined) return undefined;
  const { at, action, outcome, targetId, subjectId, requestId, grantId, details } = event;
  const ids = {
    request: texts([requestId]),
    grant: texts([grantId]),
    flag: texts([details['connectionId'], ...listIn(details['connectionIds'])]),
  }[noun];
  const flags = texts(listIn(details['flags']));
  return ids.length === 0 ? undefined : { sequence, at, noun, action, outcome, targetId, subjectId, ids, flags };
}

export const isWanted = (notice: Notice, noun: Noun, { target, person }: NoticeFilter): boolean =>
  notice.noun === noun &&
  (target === undefined || notice.targetId === target) &&
  (person === undefined || notice.subjectId === person);

const listIn = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const texts = (values: readonly unknown[]): string[] => values.filter((value) => typeof value === 'string');
