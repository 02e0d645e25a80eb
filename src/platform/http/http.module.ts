import { Module, ValidationPipe, type ValidationError } from '@nestjs/common';
import { APP_FILTER, APP_INTERCEPTOR, APP_PIPE } from '@nestjs/core';
import { DomainError, type FieldProblem } from '../errors.js';
import { IdempotencyInterceptor } from './idempotency.interceptor.js';
import { ProblemFilter } from './problem.filter.js';

/** What is wrong with an input, each field by its path. Values are not repeated: they may be secret or hostile. */
function fieldsOf(errors: readonly ValidationError[], path = ''): FieldProblem[] {
  return errors.flatMap((error) => {
    const field = path === '' ? error.property : `${path}.${error.property}`;
    const own = Object.values(error.constraints ?? {}).map((message) => ({ field, message }));
    return [...own, ...fieldsOf(error.children ?? [], field)];
  });
}

/** Only declared fields come in, of the declared types. */
const validation = new ValidationPipe({
  transform: true,
  whitelist: true,
  forbidNonWhitelisted: true,
  stopAtFirstError: true,
  validationError: { target: false, value: false },
  exceptionFactory: (errors) => {
    const fields = fieldsOf(errors);
    return new DomainError('invalid', 'invalid_input', 'The input cannot be used.', fields[0]?.message, { fields });
  },
});

/** One form for every input, every refusal and every repeated call. */
@Module({
  providers: [
    { provide: APP_PIPE, useValue: validation },
    { provide: APP_FILTER, useClass: ProblemFilter },
    { provide: APP_INTERCEPTOR, useClass: IdempotencyInterceptor },
  ],
})
export class HttpModule {}
