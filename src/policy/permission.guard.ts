import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { IdentityService } from '../identity/identity.service.js';
import { currentCall, type Call } from '../platform/call.js';
import { DomainError } from '../platform/errors.js';
import { isHealth, RateLimits } from '../platform/http/rate-limits.js';
import type { Action } from './policy.contract.js';
import { PUBLIC, REQUIRES } from './requires.js';

/**
 * Lets nobody in without a name. Stands before every route and resolver; the service behind it asks policy about the
 * very row. A handler that names no action is closed (and already stopped the start).
 */
@Injectable()
export class PermissionGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly identity: IdentityService,
    private readonly limits: RateLimits,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const handler = context.getHandler();
    if (this.reflector.get<string | undefined>(PUBLIC, handler) !== undefined) return this.countPublic(context);
    const action = this.reflector.get<Action | undefined>(REQUIRES, handler);
    const call = currentCall();
    if (action === undefined || call === undefined) return false;
    // A GraphQL document was let in as a whole: its fields are answered at the same time and share its person.
    if (context.getType<string>() === 'graphql') return call.actor !== undefined;
    call.action = action;
    await this.admit(call, context.switchToHttp().getRequest<FastifyRequest>().headers.authorization);
    return true;
  }

  /** A token that nobody looks at must not spare its sender from being counted. */
  private async countPublic(context: ExecutionContext): Promise<true> {
    const { headers, url } = context.switchToHttp().getRequest<FastifyRequest>();
    const call = currentCall();
    if (call && headers.authorization !== undefined && !isHealth(url)) await this.limits.countAddress(call, false);
    return true;
  }

  /**
   * Establishes who calls, once a call, and counts it.
   * @throws DomainError `token_missing`, `token_invalid`, `token_expired`, `too_many_requests`, …
   */
  async admit(call: Call, authorization: string | undefined): Promise<void> {
    if (call.actor) return;
    call.actor = await this.identity.authenticate(authorization, call).catch(async (error: unknown) => {
      // one without any token was counted when it came in
      const bad = error instanceof DomainError && error.kind === 'unauthenticated' && authorization !== undefined;
      if (bad) await this.limits.countAddress(call, true);
      throw error;
    });
    await this.limits.countPerson(call, call.actor.id);
  }
}
