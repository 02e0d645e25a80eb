import { isDeepStrictEqual } from 'node:util';
import { sorted, standing, type Finding, type GrantToCompare } from './drift-finding.js';

/** A database user that a policy of Usher's names on an IAM principal. */
export interface PolicyFound {
  principalArn: string;
  /** The ARN of the database user. */
  policyName: string;
  /** JSON; that of a policy which was edited is none that a grant has. */
  document: string;
}

/** A grant in attached mode, with what a policy should say of it. */
export interface AttachedGrant extends GrantToCompare {
  targetId: string;
  policyName: string;
  document: object;
}

/** Findings about IAM are kept with the target that the policy is about. */
export type PolicyFinding = Finding & { targetId: string };

/** What was read of IAM, and what the store says of it. */
export interface Policies {
  /** Only principals that could be read. */
  principals: readonly string[];
  found: readonly PolicyFound[];
  /** Read after IAM was: all attached grants on these principals that are not over, or ended during the look. */
  grants: readonly AttachedGrant[];
  /** To which target a policy belongs that no grant here explains. */
  targetOf: (policy: PolicyFound) => string | undefined;
}

/** The differences between IAM and the store, both ways. */
export function policyDrift(
  { principals, found, grants, targetOf }: Policies,
  since: Date,
  now: Date,
): PolicyFinding[] {
  // several grants may be about one user: of one that moves nothing can be told, and one that lives counts before one that is over
  const byRank = grants.toSorted((a, b) => RANK[standing(a, since, now)] - RANK[standing(b, since, now)]);
  const named = new Map(byRank.map((grant) => [keyOf(grant.principalArn ?? '', grant.policyName), grant]));
  const there = new Set(found.map(({ principalArn, policyName }) => keyOf(principalArn, policyName)));
  const readable = new Set(principals);
  return sorted([
    ...found.flatMap((policy) => {
      const grant = named.get(keyOf(policy.principalArn, policy.policyName));
      const how = grant ? standing(grant, since, now) : 'none';
      if (how === 'none') return orphan(policy, targetOf(policy));
      return grant && how === 'live' && !says(policy.document, grant.document) ? [edited(policy, grant)] : [];
    }),
    ...grants
      .filter(({ principalArn }) => principalArn !== null && readable.has(principalArn))
      .filter(({ principalArn, policyName }) => !there.has(keyOf(principalArn ?? '', policyName)))
      .filter((grant) => standing(grant, since, now) === 'live')
      .map(missing),
  ]);
}

const RANK = { none: 0, live: 1, moving: 2 } as const;

const keyOf = (principalArn: string, policyName: string): string => `${principalArn} ${policyName}`;

/** Order of fields and white space say nothing. */
function says(document: string, wanted: object): boolean {
  try {
    return isDeepStrictEqual(JSON.parse(document), JSON.parse(JSON.stringify(wanted)));
  } catch {
    return false;
  }
}

/** Of a target that is not registered here it is left alone: it may be another Usher's. */
const orphan = ({ principalArn, policyName }: PolicyFound, targetId: string | undefined): PolicyFinding[] =>
  targetId === undefined
    ? []
    : [
        {
          targetId,
          kind: 'policy_orphan',
          subject: keyOf(principalArn, policyName),
          message: `${principalArn} has ${policyName} by a policy of Usher's, which no live grant gives.`,
          remedy: 'It is taken out of the policy.',
          repair: { how: 'detach', principalArn, policyName },
          login: null,
          grantId: null,
        },
      ];

const edited = ({ principalArn, policyName }: PolicyFound, grant: AttachedGrant): PolicyFinding => ({
  ...ofGrant(grant),
  kind: 'policy_edited',
  message: `The policy that lets ${principalArn} log in as ${policyName} was edited.`,
  remedy: 'The policy is written anew.',
});

const missing = (grant: AttachedGrant): PolicyFinding => ({
  ...ofGrant(grant),
  kind: 'policy_missing',
  message: `${grant.principalArn ?? ''} lacks a policy to log in as ${grant.policyName}, which a live grant gives.`,
  remedy: 'It is written again.',
});

const ofGrant = ({ targetId, login, id, principalArn, policyName }: AttachedGrant) => ({
  targetId,
  subject: keyOf(principalArn ?? '', policyName),
  repair: { how: 'reconcile', login } as const,
  login,
  grantId: id,
});
