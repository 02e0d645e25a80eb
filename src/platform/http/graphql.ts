import { MercuriusDriver, type MercuriusDriverConfig } from '@nestjs/mercurius';
import { GraphQLModule } from '@nestjs/graphql';
import type { DynamicModule } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { GraphQLError, type ExecutionResult } from 'graphql';
import { currentCall } from '../call.js';
import { toDomainError, toProblem } from './problem.js';

type Metadata = NonNullable<MercuriusDriverConfig['metadata']>;

/** GraphQL over the same services as REST; the schema is made of the contracts. */
export const graphql = (metadata: Metadata): DynamicModule =>
  GraphQLModule.forRoot<MercuriusDriverConfig>({
    driver: MercuriusDriver,
    autoSchemaFile: true,
    sortSchema: true,
    path: '/graphql',
    graphiql: false, // the page that ships with Mercurius loads scripts from elsewhere; ours is served by ourselves
    jit: 1,
    queryDepth: 8,
    allowBatchedQueries: false,
    metadata,
    context: (request: FastifyRequest) => ({ request }),
    errorFormatter,
  } as MercuriusDriverConfig);

/** Every error carries our code; what no handler of ours threw is a fault in the document itself. */
function errorFormatter(execution: { errors?: readonly GraphQLError[]; data?: ExecutionResult['data'] }): { statusCode: number; response: ExecutionResult } {
  const errors = (execution.errors ?? []).map((error) => {
    if (typeof error.extensions?.['code'] === 'string' && typeof error.extensions['title'] === 'string') return error;
    const cause = error.originalError;
    if (cause && !(cause instanceof GraphQLError) && !isMercurius(cause)) {
      const { detail, ...extensions } = toProblem(toDomainError(cause));
      return new GraphQLError(detail, { ...(error.path && { path: error.path }), extensions });
    }
    const extensions = { code: 'invalid_input', title: 'The document cannot be used', correlationId: currentCall()?.correlationId ?? 'none' };
    return new GraphQLError(error.message, { ...(error.path && { path: error.path }), extensions });
  });
  return { statusCode: 200, response: { data: execution.data ?? null, errors } };
}

const isMercurius = (error: Error): boolean => 'code' in error && String(error.code).startsWith('MER_');
