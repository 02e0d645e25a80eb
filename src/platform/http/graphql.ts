import { MercuriusDriver, type MercuriusDriverConfig } from '@nestjs/mercurius';
import { GraphQLModule } from '@nestjs/graphql';
import type { DynamicModule } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { GraphQLError, NoSchemaIntrospectionCustomRule, type ExecutionResult } from 'graphql';
import { currentCall } from '../call.js';
import type { Settings } from '../config.js';
import { limitSelections } from './graphql-limits.js';
import { withoutValues } from './graphql-message.js';
import { toDomainError, toProblem } from './problem.js';

type Metadata = NonNullable<MercuriusDriverConfig['metadata']>;

/** Documents kept parsed, and as many of those that were refused. Each may hold a megabyte, and anybody with a token may send new ones. */
const DOCUMENTS_KEPT = 50;

/** GraphQL over the same services as REST; the schema is made of the contracts. */
export const graphql = (
  metadata: Metadata,
  { graphqlIntrospection: open }: Pick<Settings, 'graphqlIntrospection'>,
): DynamicModule =>
  GraphQLModule.forRoot<MercuriusDriverConfig>({
    driver: MercuriusDriver,
    autoSchemaFile: true,
    sortSchema: true,
    path: '/graphql',
    graphiql: false, // the page that ships with Mercurius loads scripts from elsewhere; ours is served by ourselves
    jit: 1,
    cache: DOCUMENTS_KEPT,
    queryDepth: 16, // the introspection that GraphiQL asks for is this deep; our own types are far from it
    validationRules: [limitSelections, ...(open ? [] : [NoSchemaIntrospectionCustomRule])],
    allowBatchedQueries: false,
    metadata,
    context: (request: FastifyRequest) => ({ request }),
    errorFormatter: errorFormatter(open),
  } as MercuriusDriverConfig);

/** Every error carries our code; what no handler of ours threw is a fault in the document itself. */
const errorFormatter =
  (open: boolean) =>
  (execution: {
    errors?: readonly GraphQLError[];
    data?: ExecutionResult['data'];
  }): { statusCode: number; response: ExecutionResult } => {
    const errors = (execution.errors ?? []).flatMap(unfold).map((error) => withCode(error, open));
    return { statusCode: 200, response: { data: execution.data ?? null, errors } };
  };

/** Mercurius wraps what is wrong with a document into one error that says nothing by itself. */
function unfold(error: GraphQLError): readonly GraphQLError[] {
  const inner = (error.originalError as { errors?: unknown } | undefined)?.errors;
  return Array.isArray(inner) && inner.length > 0 ? (inner as GraphQLError[]) : [error];
}

function withCode(error: GraphQLError, open: boolean): GraphQLError {
  // a document that was compiled leaves them out where there are none
  const told = error.extensions as GraphQLError['extensions'] | undefined;
  if (typeof told?.['code'] === 'string' && typeof told['title'] === 'string') return error;
  const cause = error.originalError;
  const place = { ...(error.path && { path: error.path }) };
  if (cause && !(cause instanceof GraphQLError) && !isMercurius(cause) && !isOfVariable(error)) {
    const { detail, ...extensions } = toProblem(toDomainError(cause));
    return new GraphQLError(detail, { ...place, extensions });
  }
  const correlationId = currentCall()?.correlationId ?? 'none';
  const advice = `Compare the document with the schema: ${open ? 'introspection gives it' : 'schema/schema.graphql is it'}.`;
  const extensions = {
    code: 'invalid_input',
    title: 'The document cannot be used',
    status: 400,
    advice,
    correlationId,
  };
  // a schema that is not told is not to be guessed either, one wrong name after the other
  const said = withoutValues(error.message);
  const message = open ? said : (said.split(' Did you mean ')[0] ?? '');
  return new GraphQLError(message, { ...place, extensions });
}

/** What a scalar threw over the value of a variable: the caller's fault, and told in words of GraphQL's own. */
const isOfVariable = (error: GraphQLError): boolean =>
  error.path === undefined && error.message.startsWith('Variable "$');

const isMercurius = (error: Error): boolean => 'code' in error && String(error.code).startsWith('MER_');
