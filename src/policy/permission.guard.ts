import type { IncomingHttpHeaders } from 'node:http';
import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import type { Reader } from '../platform/actor.js';
import { currentCall, markRaised, type Call } from '../platform/call.js';
import { Admission } from './admission.js';
import { refuseBeyondKey } from './key-scope.js';
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
    private readonly admission: Admission,
    private readonly limits: RateLimits,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const handler = context.getHandler();
    if (this.reflector.get<string | undefined>(PUBLIC, handler) !== undefined) return this.countPublic(context);
    const action = this.reflector.get<Action | undefined>(REQUIRES, handler);
    const call = currentCall();
    if (action === undefined || call === undefined) return false;
    // A GraphQL document was let in as a whole: its fields are answered at the same time and share its person.
    if (context.getType<string>() === 'graphql') return admitted({ ...call, subject: {}, action }, action);
    call.action = action;
    await this.admission.admit(call, context.switchToHttp().getRequest<FastifyRequest>().headers);
    return admitted(call, action);
  }

  /** A token that nobody looks at must not spare its sender from being counted. */
  private async countPublic(context: ExecutionContext): Promise<true> {
    const { headers, url } = context.switchToHttp().getRequest<FastifyRequest>();
    const call = currentCall();
    if (call && headers.authorization !== undefined && !isHealth(url)) await this.limits.countAddress(call, false);
    return true;
  }

  /** Establishes who calls, once a call. @throws as {@link Admission.admit} */
  admit(call: Call, headers: IncomingHttpHeaders): Promise<void> {
    return this.admission.admit(call, headers);
  }

  /** Of a call that goes on. @throws as {@link Admission.again} */
  again(call: Call, headers: IncomingHttpHeaders): Promise<Reader> {
    return this.admission.again(call, headers);
  }
}

/** What a key is not for is refused before anything is looked up: it says nothing of what there is. */
function admitted(call: Call, action: Action): boolean {
  if (call.actor === undefined) return false;
  try {
    refuseBeyondKey(call.actor, action);
    return true;
  } catch (error) {
    markRaised(error, call);
    throw error;
  }
}
