import type { IncomingHttpHeaders } from 'node:http';
import type { SubscribePayload } from 'graphql-ws';
import {
  GraphQLError,
  parse,
  specifiedRules,
  validate,
  type ExecutionArgs,
  type FormattedExecutionResult,
  type GraphQLFormattedError,
  type GraphQLSchema,
} from 'graphql';
import type { PinoLogger } from 'nestjs-pino';
import { callerKey, serviceOf, type Reader } from '../actor.js';
import { currentCall, runCall, type Call } from '../call.js';
import type { Settings } from '../config.js';
import { DomainError } from '../errors.js';
import { refuseDeep } from './depth.js';
import type { Gate } from './gate.js';
import { codedError } from './graphql-error.js';
import { documentRules, limitDepth, onlySubscriptions } from './graphql-rules.js';
import { refuseCrowded } from './graphql-scan.js';
import { toDomainError } from './problem.js';
import { FOR_PEOPLE } from './rate-limits.js';
import type { Claim, Seats } from './seats.js';
import { closeOf } from './socket-closes.js';
import { credentialsOf, type Credentials } from './socket-credentials.js';
import type { ClientMessage } from './socket-messages.js';

/** Milliseconds between two looks at whether somebody would still be let in, and for which one look is good. */
const LOOK_MS = 2_000;
const FRESH_MS = 1_000;
/** Subscriptions of one connection. */
const MOST = 20;

/** What all connections of a process share. */
export interface House {
  readonly gate: Gate;
  readonly seats: Seats;
  readonly schema: () => GraphQLSchema;
  /** Told to whoever was let in, before they ask for anything. */
  readonly greeting: () => Promise<Record<string, unknown>>;
  readonly settings: Pick<Settings, 'sockets' | 'graphqlIntrospection'>;
  readonly log: PinoLogger;
}

/** What came of an event. */
interface Executed {
  readonly data?: Record<string, unknown> | null | undefined;
  readonly errors?: readonly GraphQLError[] | undefined;
}

/**
 * Who is at the other end of a WebSocket. They are let in by its first message, then once more with every subscription, and looked at
 * again and again while it is open: it ends with whatever they came with.
 */
export class Subscriber {
  #credentials: Credentials = {};
  /** In which they were let in. */
  #first: Call | undefined;
  #leave: () => void = () => undefined;
  #timer: NodeJS.Timeout | undefined;
  #looked: { readonly at: number; readonly who: Promise<Reader>; done: boolean } | undefined;
  #over = false;
  /** Ids of the subscriptions that are not over, those that only just begin among them; and how many there were with each. */
  readonly #running = new Map<string, number>();
  /** On record already. */
  readonly #told = new WeakSet<DomainError>();

  /**
   * @param header of the call that asked for the connection
   * @param close ends it
   */
  constructor(
    private readonly house: House,
    private readonly header: IncomingHttpHeaders,
    private readonly close: (code: number, reason: string) => void,
  ) {}

  get isNamed(): boolean {
    return this.#first !== undefined;
  }

  /** @throws DomainError for who cannot be named, or has too many connections */
  async begin(payload: Readonly<Record<string, unknown>> = {}): Promise<Record<string, unknown>> {
    const { gate, seats, settings, greeting } = this.house;
    const call = callOfMessage();
    const credentials = credentialsOf(this.header, payload);
    if (credentials.authorization === undefined) await gate.countAddress(call, false);
    await gate.admit(call, credentials);
    const leave = seats.take(claimsOf(readerOf(call), settings.sockets));
    if (this.#over) leave(); // it was closed meanwhile
    if (this.#over) return {};
    [this.#credentials, this.#first, this.#leave] = [credentials, call, leave];
    this.#timer = setInterval(() => void this.renew().catch(() => undefined), LOOK_MS);
    return greeting();
  }

  /**
   * A message that comes in. An id is free again when everything that came of it is over: until then it could hide a stream behind
   * another.
   * @returns to be called when that is so; undefined for a subscription under an id that is not free
   */
  beginMessage({ type, id }: ClientMessage): (() => void) | undefined {
    if (type !== 'subscribe' || id === undefined) return () => undefined;
    if (this.#running.has(id)) return undefined;
    this.#running.set(id, this.#running.size + 1);
    return () => this.#running.delete(id);
  }

  /**
   * What a message asks for, ready to be run.
   * @returns errors where nothing can be run
   * @throws DomainError for who would not be let in any more
   */
  async operation(id: string, asked: SubscribePayload): Promise<ExecutionArgs | GraphQLError[]> {
    const call = callOfMessage();
    try {
      await this.house.gate.admit(call, this.#credentials);
      if ((this.#running.get(id) ?? 0) > MOST) throw tooMany();
      refuseCrowded(asked.query);
      refuseDeep(asked.variables);
    } catch (thrown) {
      const error = toDomainError(thrown);
      if (error.kind !== 'invalid' && error.kind !== 'quota') throw error;
      await this.#tell(error, thrown);
      return [new GraphQLError(error.message, { originalError: error })];
    }
    call.renew = async () => ({ ...(await this.renew()), correlationId: call.correlationId });
    return this.#read(asked);
  }

  /** Who it is, by a look that is a second old at the most, or the one that is being taken. @throws DomainError when it ended with that */
  renew(): Promise<Reader> {
    if (this.#over) return Promise.reject(this.#gone());
    const now = performance.now();
    const before = this.#looked;
    if (before && (!before.done || now - before.at < FRESH_MS)) return before.who;
    const look = { at: now, who: this.#look(), done: false };
    look.who.then(
      () => (look.done = true),
      () => (look.done = true),
    );
    this.#looked = look;
    return look.who;
  }

  /** Closes the connection over a refusal. Never throws. */
  async end(thrown: unknown): Promise<void> {
    const error = toDomainError(thrown);
    const { code, reason } = closeOf(error, this.#first ? 'ended' : 'refused');
    this.close(code, reason);
    await this.#tell(error, thrown);
  }

  /** The connection is gone. */
  left(): void {
    this.#over = true;
    clearInterval(this.#timer);
    this.#leave();
  }

  /** Errors as they are told, over HTTP as well. What ended a subscription in the middle is on record. */
  async told(errors: readonly GraphQLError[]): Promise<GraphQLFormattedError[]> {
    for (const { originalError } of errors)
      if (originalError && !(originalError instanceof GraphQLError))
        await this.#tell(toDomainError(originalError), originalError);
    return errors.map((error) => codedError(error, this.house.settings.graphqlIntrospection).toJSON());
  }

  /** One event; undefined where it can go out as it is. */
  async event({ data, errors }: Executed): Promise<FormattedExecutionResult | undefined> {
    return errors && { data: data ?? null, errors: await this.told(errors) };
  }

  #read({ query, variables, operationName }: SubscribePayload): ExecutionArgs | GraphQLError[] {
    const schema = this.house.schema();
    const rules = [...specifiedRules, onlySubscriptions, limitDepth, ...documentRules(this.house.settings)];
    try {
      const document = parse(query);
      const faults = validate(schema, document, rules);
      if (faults.length > 0) return [...faults];
      return { schema, document, variableValues: variables, operationName, contextValue: {} };
    } catch (error) {
      if (error instanceof GraphQLError) return [error];
      throw error;
    }
  }

  async #look(): Promise<Reader> {
    const first = this.#first ?? callOfMessage();
    const { correlationId, address } = first;
    const call: Call = { correlationId, address, subject: {}, repeated: true };
    return runCall(call, async () => {
      try {
        const actor = await this.house.gate.again(call, this.#credentials);
        if (callerKey(actor) !== callerKey(readerOf(first))) throw somebodyElse();
        return actor;
      } catch (thrown) {
        call.actor = readerOf(first);
        const error = toDomainError(thrown);
        await this.end(error);
        throw error;
      }
    });
  }

  /** Ends what is still being made for a connection that is closed. Nobody is told, and it is no refusal. */
  #gone(): DomainError {
    const error = new DomainError('unavailable', 'internal', 'The connection is closed.');
    this.#told.add(error);
    return error;
  }

  async #tell(error: DomainError, thrown: unknown): Promise<void> {
    if (this.#told.has(error)) return;
    this.#told.add(error);
    if (error.kind === 'unavailable') this.house.log.error({ err: thrown, code: error.code }, error.message);
    await this.house.gate.refused(error);
  }
}

function callOfMessage(): Call {
  const call = currentCall();
  if (!call) throw new Error('a message was looked at outside of any call');
  return call;
}

function readerOf({ actor }: Call): Reader {
  if (actor && actor.kind !== 'system') return actor;
  throw new Error('a connection was let in without anybody');
}

/** A person has as many by each service as without any; a service as many as ten people. */
function claimsOf(actor: Reader, { most, ofOne }: Settings['sockets']): Claim[] {
  const service = serviceOf(actor);
  return [
    { of: 'process', most },
    { of: `caller ${callerKey(actor)}`, most: actor.kind === 'service' ? ofOne * FOR_PEOPLE : ofOne },
    ...(service && service.id !== actor.id ? [{ of: `service ${service.id}`, most: ofOne * FOR_PEOPLE }] : []),
  ];
}

const tooMany = (): DomainError =>
  new DomainError(
    'quota',
    'too_many_requests',
    `A connection has ${MOST} subscriptions at the most.`,
    'Complete one of them, or open another connection.',
  );

/** An e-mail address may be given to another person. */
const somebodyElse = (): DomainError =>
  new DomainError('forbidden', 'unknown_person', 'What you came with leads to somebody else by now.', 'Connect again.');
