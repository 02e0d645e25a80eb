import {
  GraphQLError,
  Kind,
  type ASTVisitor,
  type FragmentDefinitionNode,
  type SelectionSetNode,
  type ValidationContext,
} from 'graphql';

/** Fields at the root of a document: each is a call of its own. */
const ROOT_LIMIT = 20;
/** Fields of a whole document, fragments counted wherever they are spread. The introspection of GraphiQL has some 200. */
const FIELD_LIMIT = 1_000;

/** Keeps a small document from asking for a large amount of work, by aliases or by fragments in fragments. */
export function limitSelections(context: ValidationContext): ASTVisitor {
  const size = counter(context);
  const rootsOf = counter(context, 'roots');
  return {
    OperationDefinition: (operation) => {
      const roots = rootsOf(operation.selectionSet);
      if (roots > ROOT_LIMIT)
        context.reportError(tooMuch(`${roots} root fields; at most ${ROOT_LIMIT} are answered at once`));
      else if (size(operation.selectionSet) > FIELD_LIMIT)
        context.reportError(tooMuch(`more than ${FIELD_LIMIT} fields, its fragments counted wherever they are used`));
    },
  };
}

const tooMuch = (what: string): GraphQLError => new GraphQLError(`The document has ${what}.`);

/** Counts the fields below a selection, or only those at its root; a fragment once, however often it is spread, and a circle of them not at all. */
function counter(context: ValidationContext, which: 'all' | 'roots' = 'all'): (selections: SelectionSetNode) => number {
  const known = new Map<string, number>();
  const ofFragment = (fragment: FragmentDefinitionNode): number => {
    const name = fragment.name.value;
    const before = known.get(name);
    if (before !== undefined) return before;
    known.set(name, 0); // while it is counted: a circle, which another rule refuses
    const size = below(fragment.selectionSet);
    known.set(name, size);
    return size;
  };
  const below = (set: SelectionSetNode): number =>
    set.selections.reduce((sum, selection) => {
      if (sum > FIELD_LIMIT) return sum;
      if (selection.kind === Kind.FRAGMENT_SPREAD) {
        const fragment = context.getFragment(selection.name.value);
        return sum + (fragment ? ofFragment(fragment) : 0);
      }
      if (selection.kind === Kind.FIELD && which === 'roots') return sum + 1;
      const inner = selection.selectionSet ? below(selection.selectionSet) : 0;
      return sum + inner + (selection.kind === Kind.FIELD ? 1 : 0);
    }, 0);
  return below;
}
