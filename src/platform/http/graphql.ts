import { MercuriusDriver, type MercuriusDriverConfig } from '@nestjs/mercurius';
import { GraphQLModule } from '@nestjs/graphql';
import type { DynamicModule } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { ExecutionResult, GraphQLError } from 'graphql';
import type { Settings } from '../config.js';
import { codedError } from './graphql-error.js';
import { DEPTH_LIMIT, documentRules, refuseSubscriptions } from './graphql-rules.js';

type Metadata = NonNullable<MercuriusDriverConfig['metadata']>;

/** Documents kept parsed, and as many of those that were refused. Each may hold a megabyte, and anybody with a token may send new ones. */
const DOCUMENTS_KEPT = 50;

/** GraphQL over the same services as REST; the schema is made of the contracts. */
export const graphql = (metadata: Metadata, settings: Pick<Settings, 'graphqlIntrospection'>): DynamicModule =>
  GraphQLModule.forRoot<MercuriusDriverConfig>({
    driver: MercuriusDriver,
    autoSchemaFile: true,
    sortSchema: true,
    path: '/graphql',
    graphiql: false, // the page that ships with Mercurius loads scripts from elsewhere; ours is served by ourselves
    jit: 1,
    cache: DOCUMENTS_KEPT,
    queryDepth: DEPTH_LIMIT,
    validationRules: [refuseSubscriptions, ...documentRules(settings)],
    allowBatchedQueries: false,
    metadata,
    context: (request: FastifyRequest) => ({ request }),
    errorFormatter: errorFormatter(settings.graphqlIntrospection),
  } as MercuriusDriverConfig);

/** Every error carries our code; what no handler of ours threw is a fault in the document itself. */
const errorFormatter =
  (open: boolean) =>
  (execution: {
    errors?: readonly GraphQLError[];
    data?: ExecutionResult['data'];
  }): { statusCode: number; response: ExecutionResult } => {
    const errors = (execution.errors ?? []).flatMap(unfold).map((error) => codedError(error, open));
    return { statusCode: 200, response: { data: execution.data ?? null, errors } };
  };

/** Mercurius wraps what is wrong with a document into one error that says nothing by itself. */
function unfold(error: GraphQLError): readonly GraphQLError[] {
  const inner = (error.originalError as { errors?: unknown } | undefined)?.errors;
  return Array.isArray(inner) && inner.length > 0 ? (inner as GraphQLError[]) : [error];
}
