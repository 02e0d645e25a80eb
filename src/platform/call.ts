import { AsyncLocalStorage } from 'node:async_hooks';
import type { Actor, Reader } from './actor.js';

/** What a call turned out to be about, for its log lines and for the audit of its refusal. */
export interface CallSubject {
  targetId?: string;
  requestId?: string;
  grantId?: string;
  subjectId?: string;
}

/** A repeated mutation is recognised by these. */
export interface IdempotentCall {
  readonly actorId: string;
  readonly key: string;
  readonly fingerprint: string;
}

/** How many calls a caller has in a window of time, and what is left of them. */
export interface Allowance {
  /** Who is counted: the person, or the address of calls that name none. */
  readonly policy: 'person' | 'address';
  readonly limit: number;
  readonly windowSeconds: number;
  readonly left: number;
  /** Seconds until all of it is there again. */
  readonly resetSeconds: number;
}

/** Who decided a call, for the record. */
export interface DecidedBy {
  /** Ids of the policies that allowed, or that refused. */
  readonly policies: readonly string[];
  /** The beginning of the SHA-256 of the text they stand in. */
  readonly sha256: string;
}

/** One call of the API from its first byte to its answer. Carries names, never rights: those are passed. */
export interface Call {
  readonly correlationId: string;
  readonly address: string | undefined;
  actor?: Actor;
  /** The action that the route declared. */
  action?: string;
  subject: CallSubject;
  /** Told with the answer, where calls are counted. */
  allowance?: Allowance;
  /** What policy has said so far. */
  decided?: DecidedBy | undefined;
  idempotent?: IdempotentCall | undefined;
  /**
   * Of a call that goes on, such as a subscription: establishes once more who calls, who must be asked about from then on.
   * @throws DomainError when nobody is any more whom the call was let in as; it is ended then
   */
  renew?: () => Promise<Reader>;
  /** What policy is asked was asked before in this call that goes on: nobody tried anything new. */
  repeated?: true;
}

const storage = new AsyncLocalStorage<Call>();

/** In which call, and about what, an error was raised: GraphQL answers several fields at once, each about something else. */
const raised = new WeakMap<object, Call>();
export const raisedIn = (error: unknown): Call | undefined =>
  typeof error === 'object' && error !== null ? raised.get(error) : undefined;
export function markRaised(error: unknown, call: Call): void {
  if (typeof error === 'object' && error !== null && !raised.has(error)) raised.set(error, call);
}

export const runCall = <T>(call: Call, run: () => T): T => storage.run(call, run);
export const currentCall = (): Call | undefined => storage.getStore();

/**
 * Runs a change that stands although the call itself is refused: it is no part of the answer, so none is kept for the call's
 * Idempotency-Key, and the same call may be made again.
 */
export function apart<T>(run: () => Promise<T>): Promise<T> {
  const call = storage.getStore();
  return call ? storage.run({ ...call, idempotent: undefined }, run) : run();
}

/**
 * Runs one of several changes that a call asks for, as a call of its own for the record: what one is about, and what was asked
 * there, must not stand as another's. None keeps an answer for the Idempotency-Key, which is the whole's.
 */
export function part<T>(action: string, run: () => Promise<T>): Promise<T> {
  const call = storage.getStore();
  return call ? storage.run({ ...call, action, subject: {}, decided: undefined, idempotent: undefined }, run) : run();
}

/** Says what the current call is about, as soon as it is known; a later refusal is then audited with it. */
export function concerning(subject: CallSubject): void {
  const call = storage.getStore();
  if (call) Object.assign(call.subject, subject);
}
