/** Id of a row of `person`. */
export type PersonId = string & { readonly brand: 'PersonId' };

/** Who does something, as the audit names him and policy asks about him. One per call; never kept between calls. */
export type Actor = PersonActor | SystemActor;

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
}

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
