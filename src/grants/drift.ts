import type { InspectedLogin, Survey } from '../postgres/postgres.contract.js';
import { loginGone, lost, orphans, sessions, unheardOf } from './drift-access.js';
import { sorted, standing, type Finding, type Given, type GrantToCompare } from './drift-finding.js';
import { attributes, directGrants, foreignMarker, iamGroup, members, memberships, wrongPerson } from './drift-role.js';

/** What the store says of one target, read after the target was looked at: intent comes before effect. */
export interface Store {
  /** Of this target: all that are not over, and those that ended during the look. */
  grants: readonly GrantToCompare[];
  /** Whose login it is, of logins that the store knows. */
  people: ReadonlyMap<string, string>;
  /** Names of profiles that give CREATEROLE. */
  creatingRoles: ReadonlySet<string>;
}

/**
 * The differences between one target and the store, both ways. The same whatever order things are listed in.
 * @param since the moment before the target was looked at
 * @param now the moment after the store was read
 */
export function drift(survey: Survey, store: Store, since: Date, now: Date): Finding[] {
  const given = byLogin(store.grants, since, now);
  const known = new Set(survey.logins.map(({ login }) => login));
  return sorted([
    ...survey.logins.flatMap((login) => ofLogin(login, given.get(login.login) ?? nothing, store)),
    ...[...given].filter(([login]) => !known.has(login)).flatMap(([, { live }]) => live.map(unheardOf)),
    ...survey.foreign.map(foreignMarker),
    ...survey.iamGroups.map(iamGroup),
  ]);
}

const nothing: Given = { live: [], moving: [] };

function byLogin(grants: readonly GrantToCompare[], since: Date, now: Date): Map<string, Given> {
  const given = new Map<string, { live: GrantToCompare[]; moving: GrantToCompare[] }>();
  for (const grant of [...grants].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    const how = standing(grant, since, now);
    if (how === 'none') continue;
    const of = given.get(grant.login) ?? { live: [], moving: [] };
    of[how].push(grant);
    given.set(grant.login, of);
  }
  return given;
}

const ofLogin = (login: InspectedLogin, given: Given, { people, creatingRoles }: Store): Finding[] => [
  ...orphans(login, given),
  ...sessions(login, given),
  ...wrongPerson(login, people.get(login.login)),
  ...(login.exists
    ? [
        ...lost(login, given),
        ...memberships(login, given),
        ...attributes(login, creatingRoles),
        ...members(login),
        ...directGrants(login),
      ]
    : loginGone(login, given)),
];
