/** What anybody may know of a grant without having seen Usher's code. Instants in milliseconds. */
export interface Agreed {
  id: string;
  person: number;
  target: number;
  profile: number;
  groups: readonly string[];
  startsAt: number;
  endsAt: number;
  /** Ended by hand, or seen after its end: nothing brings it back. */
  over: boolean;
}

/** What a person has on a target. */
export interface Access {
  canLogin: boolean;
  groups: string[];
  /** Ends of the leases by grant. */
  leases: Record<string, number>;
}

/**
 * The rules of access, all there are: it exists from the start to the end of what was agreed, whatever else happens.
 * The real thing is held to this; so it knows nothing of jobs, retries, crashes, plans or SQL.
 */
export class Model {
  readonly grants: Agreed[] = [];

  /** Nothing that has reached its end comes back. */
  pass(now: number): void {
    for (const grant of this.grants) grant.over ||= now >= grant.endsAt;
  }

  gives = (grant: Agreed, now: number): boolean => !grant.over && grant.startsAt <= now && now < grant.endsAt;

  access(person: number, target: number, now: number): Access {
    const given = this.grants.filter((one) => one.person === person && one.target === target && this.gives(one, now));
    const groups = new Set(given.flatMap((one) => one.groups));
    if (given.length > 0) groups.add('rds_iam');
    return {
      canLogin: given.length > 0,
      groups: [...groups].sort(),
      leases: Object.fromEntries(given.map(({ id, endsAt }) => [id, endsAt])),
    };
  }

  /** The states a grant may be in when there is no work left, except on a target that is down. */
  states(grant: Agreed, now: number, down: boolean): string[] {
    if (grant.over) return down ? ['closing', 'closed'] : ['closed'];
    if (now < grant.startsAt) return ['scheduled'];
    return down ? ['opening', 'active'] : ['active'];
  }
}
