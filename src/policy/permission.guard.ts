import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { GqlExecutionContext } from '@nestjs/graphql';
import type { FastifyRequest } from 'fastify';
import { IdentityService } from '../identity/identity.service.js';
import { currentCall } from '../platform/call.js';
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
    call.action = action;
    // A GraphQL document asks for many fields: one call, one actor.
    call.actor ??= await this.identity.authenticate(requestOf(context)?.headers.authorization, call);
    return true;
  }
}

const requestOf = (context: ExecutionContext): FastifyRequest | undefined =>
  context.getType<string>() === 'graphql'
    ? GqlExecutionContext.create(context).getContext<{ request?: FastifyRequest }>().request
    : context.switchToHttp().getRequest<FastifyRequest>();
