import type { Context, EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import { localTime, UTC } from './local-time.js';
import {
  actionKinds,
  type Action,
  type DelegationFacts,
  type EmergencyContext,
  type GrantFacts,
  type PersonFacts,
  type PolicyPerson,
  type ProfileFacts,
  type RequestFacts,
  type ResourceByKind,
  type ResourceKind,
  type Scope,
  type ServiceFacts,
  type TargetFacts,
} from './policy.contract.js';

/** One question to policy, in plain facts. `{ action, resource, context }` must belong together: see `About`. */
export interface Question {
  readonly actor: PolicyPerson | ServiceFacts;
  readonly action: Action;
  readonly resource?: ResourceByKind[ResourceKind];
  readonly context: { readonly now: Date } & Partial<EmergencyContext>;
  /** Of whose clocks policy is told; UTC when nothing is said. */
  readonly zone?: string;
}

/** The same question as Cedar wants it, with just the entities it needs: sending the whole world is slow. */
export interface CedarQuestion {
  readonly principal: TypeAndId;
  readonly action: TypeAndId;
  readonly resource: TypeAndId;
  readonly context: Context;
  readonly entities: EntityJson[];
}

// plain values: the schema, which goes with every question, says which of them are entities and dates
const uid = (type: string, id: string) => ({ type: `Usher::${type}`, id });
const isSame = (a: EntityJson, b: EntityJson): boolean => JSON.stringify(a.uid) === JSON.stringify(b.uid);
const datetime = (at: Date): string => at.toISOString();

export function toCedar({ actor, action, resource, context, zone = UTC }: Question): CedarQuestion {
  const { now, ...asked } = context;
  const [resourceUid, entities] = describe(actionKinds[action], resource);
  const callers = actor.kind === 'service' ? [describeService(actor)] : describeCaller(actor);
  const person = actor.kind === 'service' ? undefined : actor;
  const via = person?.via;
  return {
    principal: uid(actor.kind === 'service' ? 'Service' : 'Person', actor.id),
    action: uid('Action', action),
    resource: resourceUid,
    context: {
      ...asked,
      ...{ now: datetime(now), local: { ...localTime(now, zone) }, onBehalf: via !== undefined },
      ...signIn(actor.kind === 'service' ? {} : actor, now),
      ...(via && { proof: via.proof, service: uid('Service', via.service.id) }),
      ...(person?.delegateId !== undefined && { delegate: uid('Person', person.delegateId) }),
    },
    // the one who is administered may be the one who asks: an entity must not stand there twice
    entities: [...callers, ...entities.filter((entity) => !callers.some((caller) => isSame(entity, caller)))],
  };
}

/** The same at another date, by the same clock on the wall and as soon after the sign-in: hours of work come again, what ends does not. */
export const asOf = (question: CedarQuestion, now: Date): CedarQuestion => ({
  ...question,
  context: { ...question.context, now: datetime(now) },
});

/** A sign-in that lies a little ahead, by clocks that differ, is as fresh as can be; more than that no token passes. */
const signIn = ({ authenticatedAt, acr, amr = [] }: Partial<PolicyPerson>, now: Date) => ({
  ...(authenticatedAt && {
    authAgeSeconds: Math.max(0, Math.floor((now.getTime() - authenticatedAt.getTime()) / 1_000)),
  }),
  ...(acr !== undefined && { acr }),
  amr: [...amr],
});

const describeCaller = ({ id, locked, groups, via }: PolicyPerson): EntityJson[] => [
  { uid: uid('Person', id), attrs: { locked }, parents: memberships(groups) },
  ...(via ? [describeService(via.service)] : []),
];

const describeService = ({ id, locked, actsForAnybody, actsFor, groups }: ServiceFacts): EntityJson => ({
  uid: uid('Service', id),
  attrs: { locked, actsForAnybody, actsFor: actsFor.map((group) => uid('Group', group)) },
  parents: memberships(groups),
});

const memberships = (groups: readonly string[]): TypeAndId[] => groups.map((group) => uid('Group', group));

function describe(kind: ResourceKind, resource: Question['resource']): [TypeAndId, EntityJson[]] {
  switch (kind) {
    case 'target':
      return describeTarget(resource as TargetFacts);
    case 'profile':
      return describeProfile(resource as ProfileFacts);
    case 'request':
      return describeRequest(resource as RequestFacts);
    case 'delegation':
      return describeDelegation(resource as DelegationFacts);
    case 'grant':
      return describeGrant(resource as GrantFacts);
    case 'person':
      return describePerson(resource as PersonFacts);
    case 'records':
      return [uid('Records', resource as Scope), []];
    case 'system':
      return [uid('System', 'usher'), []];
  }
}

function describeProfile({
  id,
  target,
  readOnly,
  sensitivity,
  approvalsNeeded,
  maxMinutes,
  managesPasswords,
}: ProfileFacts): [TypeAndId, EntityJson[]] {
  const profileEntity: EntityJson = {
    uid: uid('Profile', id),
    attrs: {
      target: uid('Target', target.id),
      sensitivity: uid('Sensitivity', sensitivity),
      ...{ readOnly, approvalsNeeded, maxMinutes, managesPasswords },
    },
    parents: [uid('Target', target.id)],
  };
  return [uid('Profile', id), [profileEntity, ...describeTarget(target)[1]]];
}

function describeTarget({ id, environment, ownerGroup, enabled, tags }: TargetFacts): [TypeAndId, EntityJson[]] {
  const attrs = {
    environment: uid('Environment', environment),
    owners: uid('Group', ownerGroup),
    enabled,
  };
  return [uid('Target', id), [{ uid: uid('Target', id), attrs, parents: [], tags: { ...tags } }]];
}

function describeRequest({ id, requesterId, profile, ...said }: RequestFacts): [TypeAndId, EntityJson[]] {
  const attrs = {
    requester: uid('Person', requesterId),
    target: uid('Target', profile.target.id),
    profile: uid('Profile', profile.id),
    approvers: said.approverIds.map((approver) => uid('Person', approver)),
    stageGroups: said.stageGroups.map((group) => uid('Group', group)),
    stagePeople: said.stagePeople.map((person) => uid('Person', person)),
    ...(said.viaServiceId && { via: uid('Service', said.viaServiceId) }),
  };
  return [uid('Request', id), [{ uid: uid('Request', id), attrs, parents: [] }, ...describeProfile(profile)[1]]];
}

const describeDelegation = ({ id, delegatorId, delegateId }: DelegationFacts): [TypeAndId, EntityJson[]] => {
  const attrs = { delegator: uid('Person', delegatorId), delegate: uid('Person', delegateId) };
  return [uid('Delegation', id), [{ uid: uid('Delegation', id), attrs, parents: [] }]];
};

const describePerson = ({ id, locked, groups = [] }: PersonFacts): [TypeAndId, EntityJson[]] => [
  uid('Person', id),
  [{ uid: uid('Person', id), attrs: { locked }, parents: memberships(groups) }],
];

function describeGrant({ id, holderId, profile, live, expiresAt }: GrantFacts): [TypeAndId, EntityJson[]] {
  const attrs = {
    holder: uid('Person', holderId),
    target: uid('Target', profile.target.id),
    profile: uid('Profile', profile.id),
    live,
    expiresAt: datetime(expiresAt),
  };
  return [uid('Grant', id), [{ uid: uid('Grant', id), attrs, parents: [] }, ...describeProfile(profile)[1]]];
}
