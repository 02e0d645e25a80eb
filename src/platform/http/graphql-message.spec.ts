import { buildSchema, parse, validate } from 'graphql';
import { describe, expect, test } from 'vitest';
import { withoutValues } from './graphql-message.js';

const schema = buildSchema(`
  enum Colour { red green }
  input Wanted { name: String!, count: Int }
  type Query { ask(text: String, count: Int, share: Float, sure: Boolean, id: ID, colour: Colour, wanted: Wanted): Int }
`);
const SECRET = 'usher_secret_value';

function messages(document: string): string[] {
  try {
    return validate(schema, parse(document)).map(({ message }) => message);
  } catch (error) {
    return [(error as Error).message];
  }
}

describe('of a value that is written into a document, the message says only what is wanted', () => {
  test.each<[string, string]>([
    [`{ ask(count: "${SECRET}") }`, 'Int cannot represent non-integer value.'],
    [`{ ask(share: "${SECRET}") }`, 'Float cannot represent non numeric value.'],
    [`{ ask(sure: "${SECRET}") }`, 'Boolean cannot represent a non boolean value.'],
    [`{ ask(text: ${SECRET}) }`, 'String cannot represent a non string value.'],
    [`{ ask(id: ${SECRET}) }`, 'ID cannot represent a non-string and non-integer value.'],
    [`{ ask(colour: "${SECRET}") }`, 'Enum "Colour" cannot represent non-enum value.'],
    [`{ ask(colour: ${SECRET}) }`, 'A value does not exist in "Colour" enum.'],
    [`{ ask(wanted: "${SECRET}") }`, 'Expected value of type "Wanted".'],
    [`{ ask "${SECRET}" }`, 'Syntax Error: Expected Name.'],
    [`"${SECRET}"`, 'Syntax Error: Unexpected <EOF>.'],
    [`${SECRET} { ask }`, 'Syntax Error: Unexpected Name.'],
    [`{ ask(text: "${SECRET}`, 'Syntax Error: Unterminated string.'],
    [`{ ask(text: "${SECRET}\\x") }`, 'Syntax Error: Invalid character escape sequence.'],
    [`{ ask(text: "a" `, 'Syntax Error: Expected Name.'],
  ])('%s', (document, expected) => {
    const raw = messages(document);
    expect(raw).toHaveLength(1);
    const [said] = raw.map(withoutValues);
    expect(said).toBe(expected);
    expect(said).not.toContain('secret');
  });
});

test('of a variable only its name, and that of the field', () => {
  const raw = `Variable "$input" got invalid value { token: "${SECRET}" }; Field "count" of required type "Int!" was not provided.`;
  expect(withoutValues(raw)).toBe(
    'Variable "$input" got a value that does not fit its type; Field "count" of required type "Int!" was not provided.',
  );
  expect(withoutValues(`Variable "$x" got invalid value "${SECRET}"; Int cannot represent it.`)).not.toContain(
    'secret',
  );
});

test('what is said of the schema stays', () => {
  for (const message of ['Cannot query field "colour" on type "Query".', 'Unknown argument "x" on field "Query.ask".'])
    expect(withoutValues(message)).toBe(message);
});
