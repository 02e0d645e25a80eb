import type { Context, EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import {
  actionKinds,
  type Action,
  type EmergencyContext,
  type GrantFacts,
  type PersonFacts,
  type PolicyPerson,
  type ProfileFacts,
  type RequestFacts,
  type ResourceByKind,
  type ResourceKind,
  type Scope,
  type TargetFacts,
} from './policy.contract.js';

/** One question to policy, in plain facts. `{ action, resource, context }` must belong together: see `About`. */
export interface Question {
  readonly actor: PolicyPerson;
  readonly action: Action;
  readonly resource?: ResourceByKind[ResourceKind];
  readonly context: { readonly now: Date } & Partial<EmergencyContext>;
}

/** The same question as Cedar wants it, with just the entities it needs: sending the whole world is slow. */
export interface CedarQuestion {
  readonly principal: TypeAndId;
  readonly action: TypeAndId;
  readonly resource: TypeAndId;
  readonly context: Context;
  readonly entities: EntityJson[];
}

const uid = (type: string, id: string): TypeAndId => ({ type: `Usher::${type}`, id });
const reference = (type: string, id: string) => ({ __entity: uid(type, id) });
const isSame = (a: EntityJson, b: EntityJson): boolean => JSON.stringify(a.uid) === JSON.stringify(b.uid);
const datetime = (at: Date) => ({ __extn: { fn: 'datetime', arg: at.toISOString() } });

export function toCedar({ actor, action, resource, context: { now, ...asked } }: Question): CedarQuestion {
  const [resourceUid, entities] = describe(actionKinds[action], resource);
  const person: EntityJson = {
    uid: uid('Person', actor.id),
    attrs: { locked: actor.locked },
    parents: actor.groups.map((group) => uid('Group', group)),
  };
  return {
    principal: uid('Person', actor.id),
    action: uid('Action', action),
    resource: resourceUid,
    context: { now: datetime(now), ...asked },
    // the one who is administered may be the one who asks: an entity must not stand there twice
    entities: [person, ...entities.filter((entity) => !isSame(entity, person))],
  };
}

function describe(kind: ResourceKind, resource: Question['resource']): [TypeAndId, EntityJson[]] {
  switch (kind) {
    case 'target':
      return describeTarget(resource as TargetFacts);
    case 'profile':
      return describeProfile(resource as ProfileFacts);
    case 'request':
      return describeRequest(resource as RequestFacts);
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
  approvalsNeeded,
  maxMinutes,
  managesPasswords,
}: ProfileFacts): [TypeAndId, EntityJson[]] {
  const profileEntity: EntityJson = {
    uid: uid('Profile', id),
    attrs: { target: reference('Target', target.id), readOnly, approvalsNeeded, maxMinutes, managesPasswords },
    parents: [uid('Target', target.id)],
  };
  return [uid('Profile', id), [profileEntity, ...describeTarget(target)[1]]];
}

function describeTarget({ id, environment, ownerGroup, enabled, tags }: TargetFacts): [TypeAndId, EntityJson[]] {
  const attrs = {
    environment: reference('Environment', environment),
    owners: reference('Group', ownerGroup),
    enabled,
  };
  return [uid('Target', id), [{ uid: uid('Target', id), attrs, parents: [], tags: { ...tags } }]];
}

function describeRequest({ id, requesterId, profile, approverIds }: RequestFacts): [TypeAndId, EntityJson[]] {
  const attrs = {
    requester: reference('Person', requesterId),
    target: reference('Target', profile.target.id),
    profile: reference('Profile', profile.id),
    approvers: approverIds.map((approver) => reference('Person', approver)),
  };
  return [uid('Request', id), [{ uid: uid('Request', id), attrs, parents: [] }, ...describeProfile(profile)[1]]];
}

const describePerson = ({ id, locked }: PersonFacts): [TypeAndId, EntityJson[]] => [
  uid('Person', id),
  [{ uid: uid('Person', id), attrs: { locked }, parents: [] }],
];

function describeGrant({ id, holderId, profile, live, expiresAt }: GrantFacts): [TypeAndId, EntityJson[]] {
  const attrs = {
    holder: reference('Person', holderId),
    target: reference('Target', profile.target.id),
    profile: reference('Profile', profile.id),
    live,
    expiresAt: datetime(expiresAt),
  };
  return [uid('Grant', id), [{ uid: uid('Grant', id), attrs, parents: [] }, ...describeProfile(profile)[1]]];
}
