import { Injectable } from '@nestjs/common';
import type { Actor, PersonActor, Reader } from '../platform/actor.js';
import { currentCall } from '../platform/call.js';
import type { Clock } from '../platform/clock.js';
import { DomainError, type ErrorCode, type StepUp } from '../platform/errors.js';
import { absent } from './absent.js';
import type { DecisionRecord } from './decision-record.js';
import { alikeKey } from './distinctions.js';
import type { Rules } from './engine.js';
import { inScope, refuseBeyondKey } from './key-scope.js';
import {
  actionKinds,
  namedActions,
  scopes,
  type About,
  type Action,
  type Decision,
  type DelegationFacts,
  type GrantFacts,
  type ProfileFacts,
  type RecordsAction,
  type RequestFacts,
  type ResourceByKind,
  type Scope,
} from './policy.contract.js';
import type { Question } from './question.js';

export * from './policy.contract.js';
export { absent, refuseBeyondKey };

/** Asks policy whether a person or a service may do something. Jobs never ask: they only carry out what a person was granted. */
@Injectable()
export class PolicyService {
  /** One set a call, as there is one actor a call. */
  readonly #asked = new WeakMap<Actor, Set<Action>>();

  /**
   * @param zone of whose clocks policy is told
   * @param record where questions and answers are kept for dry runs; without it they are not
   */
  constructor(
    private readonly rules: Rules,
    private readonly clock: Clock,
    private readonly zone?: string,
    private readonly record?: DecisionRecord,
  ) {}

  /** SHA-256 of the rules in force, in hex. */
  get version(): string {
    return this.rules.version;
  }

  /** Decisions that could not be kept for dry runs, since the start of this process. */
  get dropped(): number {
    return this.record?.dropped ?? 0;
  }

  /** @throws DomainError `policy_not_loaded` where this process has no rules, and so denies everything; the log says why */
  refuseFault(): void {
    if (this.rules.fault === undefined) return;
    throw new DomainError(
      'unavailable',
      'policy_not_loaded',
      'The policy cannot be loaded, so everything is denied.',
      'Whoever runs Usher finds the reason in its log; docs/policy.md says how to go back to a policy that works.',
      { cause: new Error(this.rules.fault) },
    );
  }

  /** Profiles of one key have one answer, by the rules in force, to the same questions of this person. */
  alike(actor: PersonActor, asked: readonly Action[]): (profile: ProfileFacts) => string {
    const distinctions = this.rules.distinctions(actor, asked);
    return (profile) => alikeKey(distinctions, actor, profile);
  }

  /**
   * @throws DomainError `grant_not_found`, `request_not_found`, `delegation_not_found` where the person may not even see it, with the refusal on record;
   *   `forbidden`: `own_request` for one's own approval, `not_your_grant` for a token or password on somebody
   *   else's grant, `scope_missing` for what the service's key is not for, else `policy_denied`; the advice is the policy's own;
   *   `unauthenticated`: `step_up_required` where another sign-in is all that is missing
   * @throws Error when a job asks, which is a fault of ours
   */
  authorize<A extends Action>(actor: Actor, action: A, ...about: About<A>): Decision {
    const decision = this.decide(actor, action, ...about);
    if (decision.allowed) return decision;
    this.refuseFault();
    refuseBeyondKey(actor, action);
    this.#decided(decision, 'alone');
    const refused = refusal(actor, action, about[0], decision);
    const kind = actionKinds[action];
    if (decision.stepUp) throw refused; // it is theirs to do, so there is nothing to hide
    throw kind === 'grant' || kind === 'request' || kind === 'delegation'
      ? this.veiled(actor, about[0] as GrantFacts | RequestFacts | DelegationFacts, refused)
      : refused;
  }

  /** The refusal, for who may see what it is about; for everybody else there is no such thing. */
  veiled(actor: Actor, what: GrantFacts | RequestFacts | DelegationFacts, refused: DomainError): DomainError {
    const [action, whose, kind] = sightOf(what);
    const reader = readerOf(actor, action);
    // what another sign-in would show is not hidden from them, and nothing else is shown by the want of one
    const seen = this.#scopes(reader, action).filter(({ allowed, stepUp }) => allowed || stepUp !== undefined);
    const sees = seen.some(
      ({ scope }) =>
        scope === 'all' ||
        (scope === 'own' && whose.includes(reader.id)) ||
        (scope === 'owned' &&
          'profile' in what &&
          (reader.groups.includes(what.profile.target.ownerGroup) || isNamed(reader, what))),
    );
    return sees || seen.length === 0 ? refused : absent[kind](refused); // who may see nothing at all is told so everywhere
  }

  /** The same question without throwing on a refusal, as a preview needs it. */
  decide<A extends Action>(actor: Actor, action: A, ...about: About<A>): Decision {
    this.#record(actor, action);
    if (!inScope(actor, action)) return beyondKey(action);
    const question = this.question(actor, action, ...about);
    const decision = proven(actor, action, this.rules.decide(question));
    this.#keep(readerOf(actor, action), question, decision);
    if (decision.allowed) this.#decided(decision); // of a refusal `authorize` tells; a mere question decided nothing
    return decision;
  }

  /** What {@link decide} would say, for lists of what somebody could do: nobody tried any of it, so none is kept for dry runs, and none is on record as having decided. */
  foresee<A extends Action>(actor: Actor, action: A, ...about: About<A>): Decision {
    this.#record(actor, action);
    if (!inScope(actor, action)) return beyondKey(action);
    return proven(actor, action, this.rules.decide(this.question(actor, action, ...about)));
  }

  /** What {@link decide} asks, for whoever asks it of other rules. */
  question<A extends Action>(actor: Actor, action: A, ...about: About<A>): Question {
    const [resource, context] = about;
    return {
      actor: readerOf(actor, action),
      action,
      ...(resource === undefined ? {} : { resource }),
      context: { ...context, now: this.clock.now() },
      ...this.#zone,
    };
  }

  /**
   * Which rows a list may show. `all` makes the others needless, and nothing means that the list is refused.
   * @throws DomainError `forbidden` when no scope is allowed, with the policy's advice
   */
  visible<A extends RecordsAction>(actor: Actor, action: A): Scope[] {
    const reader = readerOf(actor, action);
    this.#record(actor, action);
    refuseBeyondKey(actor, action);
    const decisions = this.#scopes(reader, action);
    for (const { question, ...decision } of decisions) this.#keep(reader, question, decision);
    const allowed = decisions.filter(({ allowed }) => allowed).map(({ scope }) => scope);
    const first = decisions.find(({ stepUp }) => stepUp) ?? decisions[0];
    if (allowed.length === 0) this.refuseFault();
    const deciding = decisions.filter((decision) => decision.allowed || allowed.length === 0);
    this.#decided({ policies: deciding.flatMap(({ policies }) => policies) });
    if (allowed.length === 0 && first) throw refusal(actor, action, undefined, first);
    return allowed;
  }

  /** Whether policy was asked about this action on behalf of this very actor, to catch a handler that forgot. */
  wasAsked(actor: Actor, action: Action): boolean {
    return this.#asked.get(actor)?.has(action) ?? false;
  }

  get #zone(): Pick<Question, 'zone'> {
    return this.zone === undefined ? {} : { zone: this.zone };
  }

  #scopes(actor: Reader, action: RecordsAction): (Decision & { scope: Scope; question: Question })[] {
    const now = this.clock.now();
    return scopes.map((scope) => {
      const question: Question = { actor, action, resource: scope, context: { now }, ...this.#zone };
      return { scope, question, ...this.rules.decide(question) };
    });
  }

  #keep(person: Reader, question: Question, decision: Decision): void {
    if (currentCall()?.repeated === true) return;
    if (this.rules.fault === undefined) this.record?.add(person, question, decision, this.rules.sha256);
  }

  /** For the record of this call. A refusal stands there alone, without what was allowed before it. */
  #decided({ policies }: Pick<Decision, 'policies'>, alone?: 'alone'): void {
    const call = currentCall();
    if (!call) return;
    const before = alone ? [] : (call.decided?.policies ?? []);
    call.decided = {
      policies: [...new Set([...before, ...policies])].sort(),
      sha256: this.rules.sha256.slice(0, SHORT_HASH),
    };
  }

  #record(actor: Actor, action: Action): void {
    const asked = this.#asked.get(actor);
    if (asked) asked.add(action);
    else this.#asked.set(actor, new Set([action]));
  }
}

/** Under which action it is looked at, whose own it is, and what it is called where it is not there. */
function sightOf(what: GrantFacts | RequestFacts | DelegationFacts) {
  if ('holderId' in what) return ['viewGrants', [what.holderId], 'grant'] as const;
  if ('requesterId' in what) return ['viewRequests', [what.requesterId], 'request'] as const;
  return ['viewDelegations', [what.delegatorId, what.delegateId], 'delegation'] as const;
}

/** A stage of the request's approval names this person, or a group of theirs. */
const isNamed = (person: Reader, what: GrantFacts | RequestFacts): boolean =>
  'stageGroups' in what &&
  (what.stagePeople.includes(person.id) || what.stageGroups.some((group) => person.groups.includes(group)));

/** Characters of a hash in the record: enough to tell versions apart. */
const SHORT_HASH = 12;

function readerOf(actor: Actor, action: Action): Reader {
  if (actor.kind !== 'system') return actor;
  throw new Error(`job ${actor.name} asked policy about ${action}; only people and services are asked about`);
}

/** A floor below every policy: a name opens nothing, whatever is permitted. The policy that is shipped says the same, with advice. */
const proven = (actor: Actor, action: Action, decision: Decision): Decision =>
  decision.allowed && actor.kind === 'person' && actor.via?.proof === 'named' && !namedActions.has(action)
    ? {
        ...{ allowed: false, policies: [], approvals: 0, errors: [] },
        advice: [
          'A service that only names you must send an access token of yours along, as Usher-On-Behalf-Of-Token.',
        ],
      }
    : decision;

const beyondKey = (action: Action): Decision => ({
  allowed: false,
  policies: [],
  advice: [`The API key or client of the service is not for ${action}.`],
  approvals: 0,
  errors: [],
});

function refusal(actor: Actor, action: Action, resource: Question['resource'], decision: Decision): DomainError {
  if (decision.stepUp) return stepUpRequired(action, decision, decision.stepUp);
  const code = codeOf(actor, action, resource, decision);
  const advice = decision.advice.length > 0 ? decision.advice.join(' ') : adviceWhenNothingPermits;
  const cause = decision.errors.length > 0 ? { cause: new Error(decision.errors.join('; ')) } : {};
  const by = decision.policies.length > 0 ? ` (${decision.policies.join(', ')})` : '';
  return new DomainError('forbidden', code, `Policy does not allow you to ${said[action]}${by}.`, advice, cause);
}

function stepUpRequired(action: Action, { policies, advice }: Decision, stepUp: StepUp): DomainError {
  const message = `Policy asks for another sign-in before you may ${said[action]} (${policies.join(', ')}).`;
  return new DomainError('unauthenticated', 'step_up_required', message, advice.join(' '), { stepUp });
}

function codeOf(actor: Actor, action: Action, resource: Question['resource'], { policies }: Decision): ErrorCode {
  if (policies.includes('no-own-approval')) return 'own_request';
  if (policies.includes('no-own-review')) return 'own_review';
  const holder = actionKinds[action] === 'grant' ? (resource as ResourceByKind['grant']).holderId : undefined;
  return (action === 'mintToken' || action === 'issuePassword') && actor.kind === 'person' && holder !== actor.id
    ? 'not_your_grant'
    : 'policy_denied';
}

const adviceWhenNothingPermits = 'No policy gives you this right; ask the owner of the target or an administrator.';

const said: Record<Action, string> = {
  request: 'request this access',
  skipApproval: 'go without approval',
  breakGlass: 'break the glass for this access',
  approve: 'approve this request',
  deny: 'deny this request',
  cancel: 'cancel this request',
  editRequest: 'change this request',
  reviewRequest: 'see what this request is judged by',
  delegateVotes: 'let this person vote for you',
  endDelegation: 'end this delegation',
  revoke: 'end this grant',
  closeReview: 'close this review',
  diagnose: 'have this grant looked into',
  mintToken: 'get a token for this grant',
  issuePassword: 'get a password for this grant',
  viewRequests: 'see these requests',
  viewGrants: 'see these grants',
  viewReviews: 'see these reviews',
  viewDelegations: 'see these delegations',
  viewConnections: 'see these connections',
  viewAudit: 'see these audit events',
  viewDrift: 'see these findings',
  administerPeople: 'administer this person',
  actFor: 'act for this person',
  viewServices: 'see the services',
  administerServices: 'administer services',
  lockServices: 'lock services',
  administerWebhooks: 'administer webhooks',
  lockPeople: 'lock this person',
  viewAccess: 'see what this person may have',
  lockTargets: 'lock this target',
  viewPeople: 'see the people',
  viewTargets: 'see targets',
  administerTargets: 'administer targets',
  viewAccounts: 'see the AWS accounts',
  administerAccounts: 'administer the AWS accounts',
  viewPolicies: 'see the policies',
  administerPolicies: 'change the policies',
  viewTrust: 'see the trust bundles',
  viewMetrics: 'see the metrics',
  discoverDatabases: 'look for databases in AWS accounts',
  viewReadiness: 'see how ready targets are',
  enableIamAuthentication: 'switch IAM authentication on',
};
