import { Module } from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core';
import { IdentityModule } from '../identity/identity.module.js';
import { AskedInterceptor } from './asked.interceptor.js';
import { PermissionGuard } from './permission.guard.js';
import { PolicyModule } from './policy.module.js';

/** Stands before every route and resolver of the application. */
@Module({
  imports: [IdentityModule, PolicyModule],
  providers: [
    { provide: APP_GUARD, useClass: PermissionGuard },
    { provide: APP_INTERCEPTOR, useClass: AskedInterceptor },
  ],
})
export class PermissionModule {}
