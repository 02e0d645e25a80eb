import {
  GraphQLError,
  Kind,
  NoSchemaIntrospectionCustomRule,
  OperationTypeNode,
  type ASTVisitor,
  type FieldNode,
  type FragmentSpreadNode,
  type InlineFragmentNode,
  type SelectionNode,
  type SelectionSetNode,
  type ValidationContext,
  type ValidationRule,
} from 'graphql';
import type { Settings } from '../config.js';
import { limitSelections } from './graphql-limits.js';

/** The introspection that GraphiQL asks for is this deep; our own types are far from it. */
export const DEPTH_LIMIT = 16;

/** What holds for every document, however it comes. */
export const documentRules = ({
  graphqlIntrospection: open,
}: Pick<Settings, 'graphqlIntrospection'>): ValidationRule[] => [
  limitSelections,
  ...(open ? [] : [NoSchemaIntrospectionCustomRule]),
];

/** Over HTTP there is one answer, and a subscription would never have all of it. */
export function refuseSubscriptions(context: ValidationContext): ASTVisitor {
  return {
    OperationDefinition: (operation) => {
      if (operation.operation !== OperationTypeNode.SUBSCRIPTION) return;
      const said = 'Subscriptions come over a WebSocket at this address, by the protocol graphql-transport-ws.';
      context.reportError(new GraphQLError(said, { nodes: operation }));
    },
  };
}

/**
 * Over a WebSocket there are no headers for each call, such as Idempotency-Key, and none in the answer. What a subscription is to must
 * not hang on a variable: without its one field there is nothing to run (GraphQL, 5.2.4.1).
 */
export function onlySubscriptions(context: ValidationContext): ASTVisitor {
  const refuseConditions = (node: FieldNode | FragmentSpreadNode | InlineFragmentNode): undefined => {
    const atRoot = context.getParentType() === context.getSchema().getSubscriptionType();
    if (atRoot && node.directives?.length)
      context.reportError(new GraphQLError('What a subscription is to has no directives.', { nodes: node }));
  };
  return {
    Field: refuseConditions,
    FragmentSpread: refuseConditions,
    InlineFragment: refuseConditions,
    OperationDefinition: (operation) => {
      if (operation.operation === OperationTypeNode.SUBSCRIPTION) return;
      const said = `This WebSocket is for subscriptions; send a ${operation.operation} over HTTP.`;
      context.reportError(new GraphQLError(said, { nodes: operation }));
    },
  };
}

/** As Mercurius does it by itself for what comes over HTTP. */
export function limitDepth(context: ValidationContext): ASTVisitor {
  const known = new Map<string, number>(); // a fragment is looked through once, however often it is spread
  const ofFragment = (name: string): number => {
    const before = known.get(name);
    if (before !== undefined) return before;
    known.set(name, 0); // while it is looked through: a circle, which another rule refuses
    const fragment = context.getFragment(name);
    const depth = fragment ? below(fragment.selectionSet) : 0;
    known.set(name, depth);
    return depth;
  };
  const below = ({ selections }: SelectionSetNode): number =>
    selections.reduce((deepest, selection) => Math.max(deepest, ofSelection(selection)), 0);
  const ofSelection = (selection: SelectionNode): number => {
    if (selection.kind === Kind.FRAGMENT_SPREAD) return ofFragment(selection.name.value);
    const inner = selection.selectionSet ? below(selection.selectionSet) : 0;
    return selection.kind === Kind.FIELD ? inner + 1 : inner;
  };
  return {
    OperationDefinition: ({ selectionSet }) => {
      if (below(selectionSet) > DEPTH_LIMIT)
        context.reportError(new GraphQLError(`The document is nested more than ${DEPTH_LIMIT} deep.`));
    },
  };
}
