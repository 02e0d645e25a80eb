import { createHash } from 'node:crypto';
import { Injectable, SetMetadata, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { GqlExecutionContext } from '@nestjs/graphql';
import type { FastifyRequest } from 'fastify';
import type { GraphQLResolveInfo } from 'graphql';
import { defer, from, lastValueFrom, type Observable } from 'rxjs';
import { callerKey } from '../actor.js';
import { currentCall, type Call } from '../call.js';
import { DomainError } from '../errors.js';
import { Database, isKeptDate } from '../state/database.js';

const NOT_REPLAYED = 'usher:not-replayed';
/** The answer of this mutation is a secret and is never kept: the same key and body do it anew. */
export const NotReplayed = (): MethodDecorator => SetMetadata(NOT_REPLAYED, true);

const NOT_KEYED = 'usher:not-keyed';
/**
 * This call only looks, and its body may hold a secret that somebody could guess: an Idempotency-Key is checked for its form and
 * otherwise not heeded, so that not even a digest of the body is kept.
 */
export const NotKeyed = (): MethodDecorator => SetMetadata(NOT_KEYED, true);

const KEY_FORM = /^[\x21-\x7e]{1,128}$/;

interface Kept {
  fingerprint: string;
  answer: unknown;
}
interface Mutation {
  key: string;
  fingerprint: string;
}

/**
 * `Idempotency-Key` on any mutation (draft-ietf-httpapi-idempotency-key-header): the same key and body give the same
 * answer, another body gives 409. Keys belong to who used them: see {@link callerKey}. The answer is written by {@link Database.tx}.
 */
@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  constructor(
    private readonly db: Database,
    private readonly reflector: Reflector,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const call = currentCall();
    const mutation = mutationOf(context);
    if (!mutation || !call?.actor || call.actor.kind === 'system') return next.handle();
    if (this.reflector.get<boolean | undefined>(NOT_KEYED, context.getHandler()) === true) return next.handle();
    const actorId = callerKey(call.actor);
    const notReplayed = this.reflector.get<boolean | undefined>(NOT_REPLAYED, context.getHandler()) === true;
    return defer(() => from(this.run(call, { actorId, ...mutation }, notReplayed, next)));
  }

  private async run(
    call: Call,
    mutation: Mutation & { actorId: string },
    notReplayed: boolean,
    next: CallHandler,
  ): Promise<unknown> {
    const kept = await this.kept(mutation);
    if (kept && !notReplayed) return revive(kept.answer);
    if (notReplayed) {
      await this.db.client.$executeRaw`
        INSERT INTO idempotent_answer (actor_id, key, fingerprint, created_at)
        VALUES (${mutation.actorId}, ${mutation.key}, ${mutation.fingerprint}, clock_timestamp()) ON CONFLICT DO NOTHING`;
      await this.kept(mutation);
      return lastValueFrom(next.handle());
    }
    // A GraphQL document may hold several mutations: each has its own, so it is set for this one and taken back.
    call.idempotent = mutation;
    try {
      return await lastValueFrom(next.handle());
    } catch (error) {
      // the same call at the same moment may have won, and what it changed is then what stood in the way of this one
      const won = await this.kept(mutation);
      if (!won) throw error;
      return revive(won.answer);
    } finally {
      call.idempotent = undefined;
    }
  }

  /** @throws DomainError `idempotency_mismatch` when the key was used with another body */
  private async kept(mutation: Mutation & { actorId: string }): Promise<Kept | null> {
    const row = await this.db.client.idempotentAnswer.findUnique({
      where: { actorId_key: { actorId: mutation.actorId, key: mutation.key } },
      select: { fingerprint: true, answer: true },
    });
    if (row && row.fingerprint !== mutation.fingerprint)
      throw new DomainError(
        'conflict',
        'idempotency_mismatch',
        'This Idempotency-Key was used with another call.',
        'Use a new key for a new call.',
      );
    return row;
  }
}

function mutationOf(context: ExecutionContext): Mutation | undefined {
  if (context.getType<string>() === 'graphql') {
    const gql = GqlExecutionContext.create(context);
    const info = gql.getInfo<GraphQLResolveInfo>();
    const key = keyOf(gql.getContext<{ request?: FastifyRequest }>().request);
    if (key === undefined || info.operation.operation !== 'mutation' || info.path.prev) return undefined;
    return { key: `${key}#${info.path.key}`, fingerprint: digest(info.fieldName, gql.getArgs<unknown>()) };
  }
  const request = context.switchToHttp().getRequest<FastifyRequest>();
  const key = keyOf(request);
  if (key === undefined || request.method === 'GET' || request.method === 'HEAD') return undefined;
  return { key, fingerprint: digest(`${request.method} ${request.url}`, request.body) };
}

function keyOf(request: FastifyRequest | undefined): string | undefined {
  const header = request?.headers['idempotency-key'];
  if (header === undefined) return undefined;
  if (typeof header !== 'string' || !KEY_FORM.test(header))
    throw new DomainError(
      'invalid',
      'invalid_input',
      'Idempotency-Key must be 1 to 128 visible ASCII characters.',
      'A random UUID is a good key.',
    );
  return header;
}

const digest = (what: string, body: unknown): string =>
  createHash('sha256').update(what).update('\0').update(canonical(body)).digest('hex');

/** JSON with sorted keys: the same content in another order is the same call. */
const canonical = (value: unknown): string =>
  JSON.stringify(value ?? null, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );

/** GraphQL's DateTime wants a Date again, and only what was one: a reason may look like an instant. */
const revive = (answer: unknown): unknown =>
  JSON.parse(String(answer), (_key, value: unknown) => (isKeptDate(value) ? new Date(value.$date) : value));
