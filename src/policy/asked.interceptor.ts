import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { tap, type Observable } from 'rxjs';
import { currentCall } from '../platform/call.js';
import type { Action } from './policy.contract.js';
import { PolicyService } from './policy.service.js';
import { REQUIRES } from './requires.js';

/** A handler that declared an action and never asked policy about it gives no answer: a promise that is checked. */
@Injectable()
export class AskedInterceptor implements NestInterceptor {
  constructor(
    private readonly reflector: Reflector,
    private readonly policy: PolicyService,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const action = this.reflector.get<Action | undefined>(REQUIRES, context.getHandler());
    if (action === undefined) return next.handle();
    return next.handle().pipe(
      tap(() => {
        const actor = currentCall()?.actor;
        if (!actor || !this.policy.wasAsked(actor, action))
          throw new Error(`${context.getClass().name}.${context.getHandler().name} never asked policy about ${action}`);
      }),
    );
  }
}
