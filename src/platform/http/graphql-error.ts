import { GraphQLError } from 'graphql';
import { currentCall } from '../call.js';
import { withoutValues } from './graphql-message.js';
import { toDomainError, toProblem } from './problem.js';

/**
 * An error of GraphQL as callers meet it.
 * @param open whether the schema is told
 */
export function codedError(error: GraphQLError, open: boolean): GraphQLError {
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
