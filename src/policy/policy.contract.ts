import type { StepUp } from '../platform/errors.js';

/** Where a target stands in the life of software. The same words as `Usher::Environment` in `schema.cedarschema`. */
export const environments = ['prod', 'staging', 'test', 'dev'] as const;
export type Environment = (typeof environments)[number];

/**
 * How much harm it does when the wrong people see what a profile shows, the least first. The same words as `Usher::Sensitivity` in
 * `schema.cedarschema`. What nobody classified is confidential: not thought harmless, and not in the way of what is.
 */
export const sensitivities = ['public', 'internal', 'confidential', 'restricted'] as const;
export type Sensitivity = (typeof sensitivities)[number];

/** Which rows a list may show: those about me, those of targets my groups own with requests that name me as approver, or all. */
export const scopes = ['own', 'owned', 'all'] as const;
export type Scope = (typeof scopes)[number];

/** What policy knows of a target. The app builds it from the row. */
export interface TargetFacts {
  readonly id: string;
  readonly environment: Environment;
  /** The group whose members own this target. */
  readonly ownerGroup: string;
  readonly enabled: boolean;
  readonly tags?: Readonly<Record<string, string>>;
}

export interface ProfileFacts {
  readonly id: string;
  readonly target: TargetFacts;
  readonly readOnly: boolean;
  readonly sensitivity: Sensitivity;
  /** How many people must agree, at the least; `@approvals` in a policy may raise it. */
  readonly approvalsNeeded: number;
  readonly maxMinutes: number;
  /** Gives `rds_password`, with which one sets passwords of others. */
  readonly managesPasswords: boolean;
}

export interface RequestFacts {
  readonly id: string;
  readonly requesterId: string;
  readonly profile: ProfileFacts;
  /** Ids of the people who already agreed. */
  readonly approverIds: readonly string[];
  /** Groups and ids of people whom a stage of its approval names. */
  readonly stageGroups: readonly string[];
  readonly stagePeople: readonly string[];
  /** The service through which it was asked for. */
  readonly viaServiceId?: string | null;
}

export interface GrantFacts {
  readonly id: string;
  readonly holderId: string;
  readonly profile: ProfileFacts;
  /** The grant gives access right now: active, and not being closed. */
  readonly live: boolean;
  readonly expiresAt: Date;
}

/** That one person may vote in the place of another. */
export interface DelegationFacts {
  readonly id: string;
  readonly delegatorId: string;
  readonly delegateId: string;
}

/** A person of our own records whom somebody administers. */
export interface PersonFacts {
  readonly id: string;
  readonly locked: boolean;
  /** Where it matters whom one acts for. */
  readonly groups?: readonly string[];
}

/** What is asked for, beside the profile. The time is added by PolicyService. */
export interface AccessContext {
  readonly durationMinutes: number;
  readonly method: 'iam' | 'password';
  readonly mode: 'session' | 'attached';
  readonly hasTicket: boolean;
}

/** What is asked for in an emergency. */
export interface EmergencyContext extends AccessContext {
  /** Characters of the reason. */
  readonly reasonLength: number;
}

/** What each kind of action is asked about. */
export interface ResourceByKind {
  target: TargetFacts;
  profile: ProfileFacts;
  request: RequestFacts;
  delegation: DelegationFacts;
  grant: GrantFacts;
  person: PersonFacts;
  records: Scope;
  system: undefined;
}
export type ResourceKind = keyof ResourceByKind;

/** Every action there is, with the kind of thing it is done to. Must agree with `schema.cedarschema` (tested). */
export const actionKinds = {
  request: 'profile',
  skipApproval: 'profile',
  breakGlass: 'profile',
  approve: 'request',
  deny: 'request',
  cancel: 'request',
  editRequest: 'request',
  reviewRequest: 'request',
  delegateVotes: 'person',
  endDelegation: 'delegation',
  revoke: 'grant',
  closeReview: 'grant',
  diagnose: 'grant',
  mintToken: 'grant',
  issuePassword: 'grant',
  viewRequests: 'records',
  viewGrants: 'records',
  viewReviews: 'records',
  viewDelegations: 'records',
  viewConnections: 'records',
  viewAudit: 'records',
  viewDrift: 'records',
  administerPeople: 'person',
  lockPeople: 'person',
  actFor: 'person',
  viewAccess: 'person',
  lockTargets: 'target',
  viewPeople: 'system',
  viewServices: 'system',
  administerServices: 'system',
  lockServices: 'system',
  administerWebhooks: 'system',
  viewTargets: 'system',
  administerTargets: 'system',
  viewAccounts: 'system',
  administerAccounts: 'system',
  viewPolicies: 'system',
  administerPolicies: 'system',
  viewTrust: 'system',
  viewMetrics: 'system',
  discoverDatabases: 'system',
  viewReadiness: 'system',
  enableIamAuthentication: 'system',
} as const satisfies Record<string, ResourceKind>;
export type Action = keyof typeof actionKinds;
export const actions = Object.keys(actionKinds) as readonly Action[];

export type ActionOf<K extends ResourceKind> = { [A in Action]: (typeof actionKinds)[A] extends K ? A : never }[Action];
/** What policy may allow a service by itself. All else it does for a person. The same as in `schema.cedarschema` (tested). */
export const serviceActions: ReadonlySet<Action> = new Set<Action>([
  ...(['viewRequests', 'viewGrants', 'viewConnections', 'viewAudit', 'viewDrift'] as const),
  ...(['viewTargets', 'viewTrust', 'viewMetrics', 'viewReadiness', 'actFor'] as const),
]);

/** What a service may be let do for a person whom it merely names, without a token of theirs. No policy makes it more. */
export const namedActions: ReadonlySet<Action> = new Set<Action>([
  ...(['request', 'skipApproval', 'cancel', 'viewTargets', 'viewTrust'] as const),
  ...(['viewRequests', 'viewGrants', 'viewReviews', 'viewConnections', 'viewAudit', 'viewDrift'] as const),
  'viewDelegations',
]);

/** Actions whose lists are narrowed by scope: ask `visible`. */
export type RecordsAction = ActionOf<'records'>;

/** What follows the action in a question: `(profile, context)`, `(request)`, `(grant)`, `(delegation)`, `(target)`, `(person)`, `(scope)` or nothing. */
export type About<A extends Action> = (typeof actionKinds)[A] extends 'profile'
  ? [resource: ProfileFacts, context: A extends 'breakGlass' ? EmergencyContext : AccessContext]
  : (typeof actionKinds)[A] extends 'system'
    ? []
    : [resource: ResourceByKind[(typeof actionKinds)[A]]];

/** The person that policy is asked about. */
export interface PolicyPerson {
  readonly kind?: 'person';
  readonly id: string;
  readonly groups: readonly string[];
  /** A locked person may do nothing. Required, so that nobody forgets to look. */
  readonly locked: boolean;
  /** Of the sign-in behind the call, as far as its token says. */
  readonly authenticatedAt?: Date | undefined;
  readonly acr?: string;
  readonly amr?: readonly string[];
  /** The service that calls for this person, and what it has to show for it. */
  readonly via?: { readonly service: ServiceFacts; readonly proof: 'named' | 'token' };
  /** Who decides in this one's place. */
  readonly delegateId?: string;
}

/** A service that policy is asked about, by itself or as the one that calls for a person. */
export interface ServiceFacts {
  readonly kind: 'service';
  readonly id: string;
  readonly groups: readonly string[];
  readonly locked: boolean;
  readonly actsForAnybody: boolean;
  /** Groups whose members it may act for. */
  readonly actsFor: readonly string[];
}

export interface Decision {
  readonly allowed: boolean;
  /** Ids of every permit that allowed, or every forbid that refused, sorted; empty when nothing permits. */
  readonly policies: readonly string[];
  /** What the person can do about a refusal, one sentence for each forbid. */
  readonly advice: readonly string[];
  /** The highest `@approvals` of the permits that allowed; 0 when none says. The profile's number is the floor: see `approvalsNeeded`. */
  readonly approvals: number;
  /** The sign-in with which it would be allowed; only where nothing else is in the way. */
  readonly stepUp?: StepUp;
  /** Faults met while deciding, for the log. Any fault denies. */
  readonly errors: readonly string[];
}

/**
 * How many people must agree before access opens.
 * A number raised by policy is never skipped; without leave to skip it is one at the least, whatever the profile says.
 */
export function approvalsNeeded(profile: ProfileFacts, request: Decision, skip: Decision): number {
  if (request.approvals > 0) return Math.max(request.approvals, profile.approvalsNeeded);
  return skip.allowed ? 0 : Math.max(1, profile.approvalsNeeded);
}
