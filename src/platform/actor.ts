/** Id of a row of `person`. */
export type PersonId = string & { readonly brand: 'PersonId' };

/** Id of a row of `service`. */
export type ServiceId = string & { readonly brand: 'ServiceId' };

/** Who does something, as the audit names him and policy asks about him. One per call; never kept between calls. */
export type Actor = PersonActor | ServiceActor | SystemActor;

/** Who may look at lists: a person, or a service for itself. */
export type Reader = PersonActor | ServiceActor;

export interface PersonActor {
  readonly kind: 'person';
  readonly id: PersonId;
  /** What people call this person: e-mail, user name, else the subject. */
  readonly name: string;
  readonly issuer: string;
  readonly subject: string;
  readonly groups: readonly string[];
  /** A locked person may do nothing; policy says so. */
  readonly locked: boolean;
  /** When the person last proved who he is (`auth_time`), when the token says so. */
  readonly authenticatedAt: Date | undefined;
  /** How he proved it (`acr`, `amr`), when the token says so. */
  readonly acr?: string;
  readonly amr?: readonly string[];
  /** Address the call came from. */
  readonly address: string | undefined;
  /** Id of the call, in every log line and audit event it leads to. */
  readonly correlationId: string;
  /** The service that calls for this person; absent when the person calls. */
  readonly via?: Via;
  /** Who decides in this person's place, where policy is asked whether they may. Nobody calls like this. */
  readonly delegateId?: PersonId;
}

/** What a service has to show that it acts for somebody: only the name, or an access token of that very person. */
export type Proof = 'named' | 'token';

export interface Via {
  readonly service: ServiceActor;
  readonly proof: Proof;
}

/** A portal, a bot or a job of the company's, with a key of its own. Does little by itself, and the rest for people. */
export interface ServiceActor {
  readonly kind: 'service';
  readonly id: ServiceId;
  readonly name: string;
  /** Of the key that it came with; absent when it came with a token of its provider. */
  readonly keyId?: string;
  /** Actions that the key or the token may be used for, its own and those for people. */
  readonly scopes: readonly string[];
  readonly groups: readonly string[];
  readonly locked: boolean;
  readonly actsForAnybody: boolean;
  /** Groups whose members it may act for. */
  readonly actsFor: readonly string[];
  readonly address: string | undefined;
  readonly correlationId: string;
}

/** The service in a call, be it for itself or for a person. */
export function serviceOf(actor: Actor): ServiceActor | undefined {
  if (actor.kind === 'service') return actor;
  return actor.kind === 'person' ? actor.via?.service : undefined;
}

/** Whose Idempotency-Keys these are: what a service does for one person is no answer for another. */
export const callerKey = (actor: Reader): string =>
  actor.kind === 'person' && actor.via ? `${actor.via.service.id}/${actor.id}` : actor.id;

/** A job of Usher's own. Policy is not asked about it: it only carries out what a person was granted. */
export interface SystemActor {
  readonly kind: 'system';
  /** The job's name, e.g. `reconcile`. */
  readonly name: string;
  readonly correlationId: string;
}

export const systemActor = (name: string, correlationId: string): SystemActor => ({
  kind: 'system',
  name,
  correlationId,
});
