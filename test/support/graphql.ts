import { getIntrospectionQuery } from 'graphql';
import type { Client } from './usher.ts';

interface TypeRef {
  name: string | null;
  ofType: TypeRef | null;
}
type Fields = { name: string; type: TypeRef }[];

export interface Schema {
  /** Every field there is of a type, and of the types in it: what nobody asks for would go unnoticed. */
  everything(type: string): string;
  /**
   * Runs one operation for all fields, and answers in the words of REST.
   * @param variables by name: the type and the value
   * @throws Error with the errors of the answer
   */
  ask(
    client: Client,
    call: string,
    type: string,
    variables?: Record<string, [type: string, value: unknown]>,
    headers?: Record<string, string>,
  ): Promise<unknown>;
}

/** The schema as the service itself tells it, by the very query that GraphiQL sends. */
export async function readSchema(client: Client): Promise<Schema> {
  const fieldsOf = new Map<string, Fields>();
  const { data, errors } = await client.graphql<{ __schema: { types: { name: string; fields: Fields | null }[] } }>(
    getIntrospectionQuery(),
  );
  if (errors) throw new Error(`the schema cannot be read: ${JSON.stringify(errors)}`);
  for (const { name, fields } of data?.__schema.types ?? []) if (fields) fieldsOf.set(name, fields);
  const everything = (type: string): string => {
    const fields = fieldsOf.get(type);
    return fields ? `{ ${fields.map((field) => `${field.name} ${everything(named(field.type))}`).join(' ')} }` : '';
  };
  const ask: Schema['ask'] = async (caller, call, type, variables = {}, headers = {}) => {
    const declared = Object.entries(variables).map(([name, [of]]) => `$${name}: ${of}`);
    const mutation = fieldsOf.get('Mutation')?.some(({ name }) => call.startsWith(`${name}(`));
    const head = `${mutation ? 'mutation' : 'query'}${declared.length > 0 ? ` (${declared.join(', ')})` : ''}`;
    const values = Object.fromEntries(Object.entries(variables).map(([name, [, value]]) => [name, value]));
    const document = `${head} { answer: ${call} ${everything(type)} }`;
    const answer = await caller.graphql<{ answer: unknown }>(document, values, headers);
    if (answer.errors) throw new Error(JSON.stringify(answer.errors));
    return restWords(answer.data?.answer);
  };
  return { everything, ask };
}

const named = (type: TypeRef): string => type.name ?? (type.ofType ? named(type.ofType) : '');

/** GraphQL has no hyphen in the names of an enum. */
const restWords = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value).replace(/"(rds_instance|aurora_cluster|rds_proxy)"/g, (word) => word.replace('_', '-')),
  );
