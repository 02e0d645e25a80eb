import { Module, ValidationPipe, type ArgumentMetadata, type ValidationError } from '@nestjs/common';
import { APP_FILTER, APP_PIPE } from '@nestjs/core';
import { DomainError, type FieldProblem } from '../errors.js';
import { IdempotencyJobs } from './idempotency.job.js';
import { ProblemFilter } from './problem.filter.js';
import { RateLimits } from './rate-limits.js';
import { Sockets } from './sockets.js';

/** What is wrong with an input, each field by its path. Values are not repeated: they may be secret or hostile. */
function fieldsOf(errors: readonly ValidationError[], path = ''): FieldProblem[] {
  return errors.flatMap((error) => {
    const field = path === '' ? error.property : `${path}.${error.property}`;
    const own = Object.values(error.constraints ?? {}).map((message) => ({ field, message }));
    return [...own, ...fieldsOf(error.children ?? [], field)];
  });
}

/** As deep as any input of ours goes: an input, its list of endpoints, one endpoint. */
const DEPTH = 3;

/** What JavaScript calls to make a text or a date of an object. No field of ours is called so, and with one that is no function it throws. */
const CALLED = ['toString', 'valueOf'] as const;

/** Without the fields that are null. `@IsOptional` lets null pass, and no service should have to tell it from undefined. */
function present(value: unknown, depth = DEPTH): unknown {
  if (value === null) return undefined;
  if (typeof value !== 'object' || value instanceof Date || depth === 0) return value;
  if (Array.isArray(value)) return value.map((one: unknown) => (one === null ? one : present(one, depth - 1)));
  for (const name of CALLED) if (Object.hasOwn(value, name)) throw noField(name);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== null)
      .map(([name, field]) => [name, present(field, depth - 1)]),
  );
}

const noField = (field: string): DomainError => {
  const message = `property ${field} should not exist`;
  return new DomainError('invalid', 'invalid_input', 'The input cannot be used.', message, {
    fields: [{ field, message }],
  });
};

/** Null is the same as left out: clients of GraphQL send it for every variable that has no value. */
class InputPipe extends ValidationPipe {
  // async, so that what is thrown here is a refusal like any other
  override async transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    return super.transform(metadata.type === 'custom' ? value : present(value), metadata);
  }
}

/** Only declared fields come in, of the declared types. */
const validation = new InputPipe({
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
    IdempotencyJobs,
    RateLimits,
    Sockets,
  ],
  exports: [IdempotencyJobs, RateLimits, Sockets],
})
export class HttpModule {}
