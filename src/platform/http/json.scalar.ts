import { GraphQLScalarType } from 'graphql';

/** Any JSON value, given as it is. Only for answers: nothing that comes in may be of it. */
export const Json = new GraphQLScalarType({
  name: 'JSON',
  description: 'Any JSON value (RFC 8259), only ever in answers',
  serialize: (value) => value,
  parseValue: () => {
    throw new TypeError('JSON is only for answers');
  },
});
