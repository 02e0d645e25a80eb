import type { AuditAction } from './events.js';
import type { ExportedLine } from './exported-line.js';

/** Of the Open Cybersecurity Schema Framework, https://schema.ocsf.io */
export const OCSF_VERSION = '1.4.0';

/** Classes of events, with their category. */
const classes = {
  accountChange: { class_uid: 3001, class_name: 'Account Change', category_uid: 3 },
  authentication: { class_uid: 3002, class_name: 'Authentication', category_uid: 3 },
  authorizeSession: { class_uid: 3003, class_name: 'Authorize Session', category_uid: 3 },
  apiActivity: { class_uid: 6003, class_name: 'API Activity', category_uid: 6 },
} as const;
type ClassName = keyof typeof classes;

const categories = { 3: 'Identity & Access Management', 6: 'Application Activity' } as const;

/** What was done, by the numbers of the class; 99 is what the class has no number for, and is then told by its name. */
type Activity = readonly [of: ClassName, id: number, name: string];

const OTHER = 99;

/** Where an action is more than a call of the API. All others are {@link ofVerb}. */
const activities: Partial<Record<AuditAction, Activity>> = {
  'connection.seen': ['authentication', 1, 'Logon'],
  'connection.ended': ['authentication', 2, 'Logoff'],
  'token.mint': ['authentication', OTHER, 'Login Token Issued'],
  'grant.active': ['authorizeSession', 1, 'Assign Privileges'],
  'grant.extend': ['authorizeSession', OTHER, 'Extend Privileges'],
  'grant.shorten': ['authorizeSession', OTHER, 'Shorten Privileges'],
  'grant.fenced': ['authorizeSession', OTHER, 'Suspend Privileges'],
  'grant.closed': ['authorizeSession', OTHER, 'Remove Privileges'],
  'grant.sessionsEnded': ['authentication', 2, 'Logoff'],
  'password.issue': ['accountChange', 4, 'Password Reset'],
  'person.lock': ['accountChange', 9, 'Lock'],
  'person.unlock': ['accountChange', 2, 'Enable'],
  'person.remove': ['accountChange', 5, 'Disable'],
  'person.restore': ['accountChange', 2, 'Enable'],
  'service.create': ['accountChange', 1, 'Create'],
  'service.lock': ['accountChange', 9, 'Lock'],
  'service.unlock': ['accountChange', 2, 'Enable'],
  'service.remove': ['accountChange', 6, 'Delete'],
};

/** A refusal of somebody who could not be named is a sign-in that failed. */
const signIn = /^(?:token_|key_|step_up_required$)/;

const verbs: readonly [pattern: RegExp, id: number, name: string][] = [
  [/\.(?:create|start|issue|register)$/, 1, 'Create'],
  [/\.(?:seen|found|diagnose|export)$/, 2, 'Read'],
  [/\.(?:delete|remove|removing|revoke|cancel|expire)$/, 4, 'Delete'],
];

function ofVerb(action: string): Activity {
  const verb = verbs.find(([pattern]) => pattern.test(action));
  return verb ? ['apiActivity', verb[1], verb[2]] : ['apiActivity', 3, 'Update'];
}

export function activityOf({ action, code }: Pick<ExportedLine, 'action' | 'code'>): Activity {
  if (action === 'access.refused')
    return signIn.test(code ?? '') ? ['authentication', 1, 'Logon'] : ['apiActivity', OTHER, 'Refused'];
  return activities[action as AuditAction] ?? ofVerb(action);
}

const outcomes: Readonly<Record<string, { status_id: number; status: string; severity_id: number; severity: string }>> =
  {
    success: { status_id: 1, status: 'Success', severity_id: 1, severity: 'Informational' },
    refused: { status_id: 2, status: 'Failure', severity_id: 2, severity: 'Low' },
    failed: { status_id: 2, status: 'Failure', severity_id: 3, severity: 'Medium' },
  };

export const ocsfLine = (line: ExportedLine): string => `${JSON.stringify(toOcsf(line))}\n`;

/** A line of the record as an event of OCSF. What has no place there is whole in `unmapped`. */
export function toOcsf(line: ExportedLine): Record<string, unknown> {
  const [name, activity_id, activity_name] = activityOf(line);
  const { class_uid, class_name, category_uid } = classes[name];
  const details = JSON.parse(line.details) as Record<string, unknown>;
  return {
    ...{ activity_id, activity_name, category_uid, category_name: categories[category_uid], class_uid, class_name },
    ...{ type_uid: class_uid * 100 + activity_id, type_name: `${class_name}: ${activity_name}` },
    time: Date.parse(line.at),
    ...(outcomes[line.outcome] ?? outcomes['failed']),
    ...(line.code !== null && { status_code: line.code }),
    ...(typeof details['message'] === 'string' && { status_detail: details['message'] }),
    message: line.action,
    metadata: metadataOf(line),
    actor: actorOf(line),
    ...partsOf(name, line, details),
    unmapped: {
      ...{ request_id: line.requestId, grant_id: line.grantId, target_id: line.targetId, subject_id: line.subjectId },
      details,
    },
  };
}

const metadataOf = ({ id, sequence, action, at, correlationId }: ExportedLine) => ({
  version: OCSF_VERSION,
  product: { name: 'Usher', vendor_name: 'Usher' },
  ...{ uid: id, sequence, event_code: action, original_time: at, correlation_uid: correlationId },
});

const userTypes: Readonly<Record<string, { type_id: number; type: string }>> = {
  person: { type_id: 1, type: 'User' },
  system: { type_id: 3, type: 'System' },
  service: { type_id: OTHER, type: 'Service' },
};

const actorOf = ({ actorKind, actorId, actorName, viaName }: ExportedLine) => ({
  user: {
    name: actorName,
    ...(actorId !== null && { uid: actorId }),
    ...(userTypes[actorKind] ?? { type_id: 0, type: 'Unknown' }),
  },
  ...(viaName !== null && { app_name: viaName }),
});

/** What each class must have beside what all have. */
function partsOf(name: ClassName, line: ExportedLine, details: Record<string, unknown>): Record<string, unknown> {
  const address = line.address ?? textOf(details['clientAddress']);
  const src_endpoint = address === undefined ? undefined : { ip: address };
  const dst_endpoint = line.targetId === null ? { name: 'usher' } : { uid: line.targetId, type: 'Database' };
  if (name === 'apiActivity')
    return {
      api: {
        operation: textOf(details['asked']) ?? line.action,
        service: { name: 'usher' },
        request: { uid: line.correlationId },
      },
      src_endpoint: src_endpoint ?? { name: 'usher' },
      resources: resourcesOf(line),
    };
  const user = userOf(line, details);
  const source = src_endpoint && { src_endpoint };
  if (name === 'accountChange') return { user, ...source };
  if (name === 'authentication') return { user, dst_endpoint, ...source };
  return { user, dst_endpoint, privileges: [textOf(details['profile']) ?? `grant ${line.grantId ?? ''}`], ...source };
}

/** Whom it is about, by the login where there is one. */
function userOf({ subjectId, actorId, actorName }: ExportedLine, details: Record<string, unknown>) {
  const uid = subjectId ?? actorId;
  const name =
    textOf(details['login']) ??
    textOf(details['name']) ??
    (subjectId === null || subjectId === actorId ? actorName : undefined);
  return { ...(uid !== null && { uid }), ...(name !== undefined && { name }) };
}

const resourcesOf = ({ targetId, requestId, grantId, subjectId }: ExportedLine) =>
  Object.entries({ target: targetId, request: requestId, grant: grantId, person: subjectId }).flatMap(([type, uid]) =>
    uid === null ? [] : [{ uid, type }],
  );

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
