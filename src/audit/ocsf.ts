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
const logon: Activity = ['authentication', 1, 'Logon'];
const refused: Activity = ['apiActivity', OTHER, 'Refused'];
const update: Activity = ['apiActivity', 3, 'Update'];

/** Where an action is more than a call of the API. All others are {@link ofVerb}. */
const activities: Partial<Record<AuditAction, Activity>> = {
  'connection.seen': logon,
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

const verbs: readonly (readonly [pattern: RegExp, activity: Activity])[] = [
  [/\.(?:create|start|issue|register)$/, ['apiActivity', 1, 'Create']],
  [/\.(?:seen|found|diagnose|export)$/, ['apiActivity', 2, 'Read']],
  [/\.(?:delete|remove|removing|revoke|cancel|expire)$/, ['apiActivity', 4, 'Delete']],
];

const ofVerb = (action: string): Activity => verbs.find(([pattern]) => pattern.test(action))?.[1] ?? update;

export function activityOf({ action, code }: Pick<ExportedLine, 'action' | 'code'>): Activity {
  if (action === 'access.refused') return signIn.test(code ?? '') ? logon : refused;
  return activities[action as AuditAction] ?? ofVerb(action);
}

const heads = new Map<Activity, string>();

/** How each event of an activity begins: made once, for it is a fifth of its text. */
function headOf(activity: Activity): string {
  const known = heads.get(activity);
  if (known !== undefined) return known;
  const [name, activity_id, activity_name] = activity;
  const { class_uid, class_name, category_uid } = classes[name];
  const head = JSON.stringify({
    ...{ activity_id, activity_name, category_uid, category_name: categories[category_uid], class_uid, class_name },
    ...{ type_uid: class_uid * 100 + activity_id, type_name: `${class_name}: ${activity_name}` },
  }).slice(0, -1);
  heads.set(activity, head);
  return head;
}

const failed = { status_id: 2, status: 'Failure', severity_id: 3, severity: 'Medium' };
const outcomes: Readonly<Record<string, typeof failed>> = {
  success: { status_id: 1, status: 'Success', severity_id: 1, severity: 'Informational' },
  refused: { status_id: 2, status: 'Failure', severity_id: 2, severity: 'Low' },
};

/** A line of the record as an event of OCSF. What has no place there is whole in `unmapped`, the details as the text that they are. */
export function ocsfLine(line: ExportedLine): string {
  const activity = activityOf(line);
  const rest = JSON.stringify(bodyOf(line, activity[0]));
  return `${headOf(activity)},${rest.slice(1, -2)},"details":${line.details}}}\n`;
}

/** What is not the same for all of an activity; ends with `unmapped`. What is undefined is not written. */
function bodyOf(line: ExportedLine, name: ClassName): object {
  const details = JSON.parse(line.details) as Record<string, unknown>;
  const body = {
    time: Date.parse(line.at),
    ...(outcomes[line.outcome] ?? failed),
    status_code: line.code ?? undefined,
    status_detail: textOf(details['message']),
    message: line.action,
    metadata: metadataOf(line),
    actor: actorOf(line),
  };
  const { requestId: request_id, grantId: grant_id, targetId: target_id, subjectId: subject_id } = line;
  return Object.assign(body, partsOf(name, line, details), {
    unmapped: { request_id, grant_id, target_id, subject_id },
  });
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

const actorOf = ({ actorKind, actorId, actorName, viaName }: ExportedLine) => {
  const { type_id, type } = userTypes[actorKind] ?? { type_id: 0, type: 'Unknown' };
  return { user: { name: actorName, uid: actorId ?? undefined, type_id, type }, app_name: viaName ?? undefined };
};

/** What each class must have beside what all have. */
function partsOf(name: ClassName, line: ExportedLine, details: Record<string, unknown>): Record<string, unknown> {
  const address = line.address ?? textOf(details['clientAddress']);
  const src_endpoint = address === undefined ? undefined : { ip: address };
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
  if (name === 'accountChange') return { user, src_endpoint };
  const dst_endpoint = line.targetId === null ? { name: 'usher' } : { uid: line.targetId, type: 'Database' };
  if (name === 'authentication') return { user, dst_endpoint, src_endpoint };
  const privileges = [textOf(details['profile']) ?? `grant ${line.grantId ?? ''}`];
  return { user, dst_endpoint, privileges, src_endpoint };
}

/** Whom it is about, by the login where there is one. */
function userOf({ subjectId, actorId, actorName }: ExportedLine, details: Record<string, unknown>) {
  const name =
    textOf(details['login']) ??
    textOf(details['name']) ??
    (subjectId === null || subjectId === actorId ? actorName : undefined);
  return { uid: subjectId ?? actorId ?? undefined, name };
}

const resourcesOf = ({ targetId, requestId, grantId, subjectId }: ExportedLine) =>
  Object.entries({ target: targetId, request: requestId, grant: grantId, person: subjectId }).flatMap(([type, uid]) =>
    uid === null ? [] : [{ uid, type }],
  );

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
