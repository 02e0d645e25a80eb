import { SetMetadata } from '@nestjs/common';
import type { Action } from './policy.contract.js';

export const REQUIRES = 'usher:requires';
export const PUBLIC = 'usher:public';

/** The action that this route or resolver asks policy about. Its service still asks: this is a promise, checked after the call. */
export const Requires = (action: Action): MethodDecorator => SetMetadata(REQUIRES, action);

/** This route or resolver needs no permission, and why that is safe. */
export const Public = (why: string): MethodDecorator => SetMetadata(PUBLIC, why);
