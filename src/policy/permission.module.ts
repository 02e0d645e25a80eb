import { Module } from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core';
import { IdentityModule } from '../identity/identity.module.js';
import { HttpModule } from '../platform/http/http.module.js';
import { IdempotencyInterceptor } from '../platform/http/idempotency.interceptor.js';
import { Admission } from './admission.js';
import { AskedInterceptor } from './asked.interceptor.js';
import { FieldInterceptor } from './field.interceptor.js';
import { PermissionGuard } from './permission.guard.js';
import { PolicyModule } from './policy.module.js';

/** Stands before every route and resolver of the application. */
@Module({
  imports: [HttpModule, IdentityModule, PolicyModule],
  providers: [
    Admission,
    PermissionGuard,
    { provide: APP_GUARD, useExisting: PermissionGuard },
    // in this order: a repeated call is answered from what was kept, and only a handler that ran is held to its promise
    { provide: APP_INTERCEPTOR, useClass: FieldInterceptor },
    { provide: APP_INTERCEPTOR, useClass: IdempotencyInterceptor },
    { provide: APP_INTERCEPTOR, useClass: AskedInterceptor },
  ],
})
export class PermissionModule {}
