import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { Observable } from 'rxjs';
import { currentCall, markRaised, runCall } from '../platform/call.js';
import type { Action } from './policy.contract.js';
import { REQUIRES } from './requires.js';

/**
 * Gives each field of a GraphQL document a call of its own: they are answered at the same time, and what one is about must
 * not stand in the record as another's. Person, address and correlation id stay those of the one HTTP call.
 */
@Injectable()
export class FieldInterceptor implements NestInterceptor {
  constructor(private readonly reflector: Reflector) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const whole = currentCall();
    if (!whole || context.getType<string>() !== 'graphql') return next.handle();
    const action = this.reflector.get<Action | undefined>(REQUIRES, context.getHandler());
    const call = { ...whole, subject: {}, decided: undefined, ...(action !== undefined && { action }) };
    return new Observable((subscriber) =>
      runCall(call, () =>
        next.handle().subscribe({
          next: (value) => subscriber.next(value),
          error: (error: unknown) => {
            markRaised(error, call);
            subscriber.error(error);
          },
          complete: () => subscriber.complete(),
        }),
      ),
    );
  }
}
