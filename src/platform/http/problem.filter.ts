import { Catch, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { GraphQLError } from 'graphql';
import { InjectPinoLogger, PinoLogger } from 'nestjs-pino';
import { currentCall, markRaised, raisedIn } from '../call.js';
import type { DomainError } from '../errors.js';
import { challenge, toDomainError, toProblem } from './problem.js';

/** Where refusals are put on record. The audit implements it; the platform knows only that there is one. */
export abstract class RefusalRecord {
  /** Never throws: a record that cannot be written must not turn a refusal into an answer. */
  abstract refused(error: DomainError): Promise<void>;
}

/** The one place where an error becomes an answer: RFC 9457 for REST, `extensions` for GraphQL. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly record: RefusalRecord,
    @InjectPinoLogger(ProblemFilter.name) private readonly log: PinoLogger,
  ) {}

  async catch(thrown: unknown, host: ArgumentsHost): Promise<GraphQLError | undefined> {
    const error = toDomainError(thrown);
    const call = raisedIn(thrown) ?? currentCall();
    const told = error.onRecord ?? error;
    if (call) markRaised(told, call);
    const problem = toProblem(error);
    if (error.kind === 'unavailable')
      this.log.error({ err: thrown, code: error.code, correlationId: problem.correlationId }, error.message);
    if (call?.action !== undefined || error.kind === 'unauthenticated') await this.record.refused(told);
    if (host.getType<string>() === 'graphql') {
      const { detail, ...extensions } = problem;
      return new GraphQLError(detail, { extensions });
    }
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    if (error.kind === 'unauthenticated') void reply.header('WWW-Authenticate', challenge(error));
    if (error.retryAfterSeconds !== undefined) void reply.header('Retry-After', String(error.retryAfterSeconds));
    await reply
      .status(problem.status)
      .type('application/problem+json')
      .header('Cache-Control', 'no-store')
      .send(JSON.stringify(problem));
    return undefined;
  }
}
