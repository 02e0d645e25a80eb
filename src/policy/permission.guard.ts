import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { IdentityService } from '../identity/identity.service.js';
import { currentCall, type Call } from '../platform/call.js';
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
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const handler = context.getHandler();
    if (this.reflector.get<string | undefined>(PUBLIC, handler) !== undefined) return true;
    const action = this.reflector.get<Action | undefined>(REQUIRES, handler);
    const call = currentCall();
    if (action === undefined || call === undefined) return false;
    // A GraphQL document was let in as a whole: its fields are answered at the same time and share its person.
    if (context.getType<string>() === 'graphql') return call.actor !== undefined;
    call.action = action;
    await this.admit(call, context.switchToHttp().getRequest<FastifyRequest>().headers.authorization);
    return true;
  }

  /** Establishes who calls, once a call. @throws DomainError `token_missing`, `token_invalid`, `token_expired`, … */
  async admit(call: Call, authorization: string | undefined): Promise<void> {
    call.actor ??= await this.identity.authenticate(authorization, call);
  }
}
