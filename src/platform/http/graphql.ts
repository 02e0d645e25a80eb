import { MercuriusDriver, type MercuriusDriverConfig } from '@nestjs/mercurius';
import { GraphQLModule } from '@nestjs/graphql';
import type { DynamicModule } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { GraphQLError, type ExecutionResult } from 'graphql';
import { currentCall } from '../call.js';
import { limitSelections } from './graphql-limits.js';
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
    queryDepth: 16, // the introspection that GraphiQL asks for is this deep; our own types are far from it
    validationRules: [limitSelections],
    allowBatchedQueries: false,
    metadata,
    context: (request: FastifyRequest) => ({ request }),
    errorFormatter,
  } as MercuriusDriverConfig);

/** Every error carries our code; what no handler of ours threw is a fault in the document itself. */
function errorFormatter(execution: { errors?: readonly GraphQLError[]; data?: ExecutionResult['data'] }): {
  statusCode: number;
  response: ExecutionResult;
} {
  const errors = (execution.errors ?? []).flatMap(unfold).map(withCode);
  return { statusCode: 200, response: { data: execution.data ?? null, errors } };
}

/** Mercurius wraps what is wrong with a document into one error that says nothing by itself. */
function unfold(error: GraphQLError): readonly GraphQLError[] {
  const inner = (error.originalError as { errors?: unknown } | undefined)?.errors;
  return Array.isArray(inner) && inner.length > 0 ? (inner as GraphQLError[]) : [error];
}

function withCode(error: GraphQLError): GraphQLError {
  if (typeof error.extensions['code'] === 'string' && typeof error.extensions['title'] === 'string') return error;
  const cause = error.originalError;
  const place = { ...(error.path && { path: error.path }) };
  if (cause && !(cause instanceof GraphQLError) && !isMercurius(cause)) {
    const { detail, ...extensions } = toProblem(toDomainError(cause));
    return new GraphQLError(detail, { ...place, extensions });
  }
  const correlationId = currentCall()?.correlationId ?? 'none';
  const advice = 'Compare the document with the schema: introspection gives it, and /graphiql shows it.';
  const extensions = {
    code: 'invalid_input',
    title: 'The document cannot be used',
    status: 400,
    advice,
    correlationId,
  };
  return new GraphQLError(error.message, { ...place, extensions });
}

const isMercurius = (error: Error): boolean => 'code' in error && String(error.code).startsWith('MER_');
