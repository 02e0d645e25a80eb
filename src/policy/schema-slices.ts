import * as cedar from '@cedar-policy/cedar-wasm/nodejs';

type Actions = cedar.SchemaJson<string>[string]['actions'];

/**
 * The schema in as many parts as there are actions. Cedar lays every action of a schema among the entities of each question,
 * which costs as much as to judge thirty policies; to a question only its own action and the groups above it matter.
 */
export class SchemaSlices {
  readonly #whole: cedar.SchemaJson<string>;
  /** Where Cedar keeps the part, by action. It stays there for ever, once a process, for the schema never changes in one. */
  readonly #places = new Map<string, string>();

  /** @throws Error for a text that is no schema */
  constructor(
    text: string,
    private readonly name: string,
  ) {
    const answer = cedar.schemaToJson(text);
    if (answer.type === 'failure') throw new Error(answer.errors.map(({ message }) => message).join(' '));
    this.#whole = answer.json;
  }

  /**
   * The name under which Cedar has the part; made when it is first asked for, which takes some milliseconds.
   * @throws Error for an action that the schema does not have
   */
  placeOf(action: string): string {
    const known = this.#places.get(action);
    if (known !== undefined) return known;
    const place = `${this.name}:${action}`;
    const answer = cedar.preparseSchema(place, this.#slice(action));
    if (answer.type === 'failure') throw new Error(answer.errors.map(({ message }) => message).join(' '));
    this.#places.set(action, place);
    return place;
  }

  #slice(action: string): cedar.SchemaJson<string> {
    return Object.fromEntries(
      Object.entries(this.#whole).map(([name, namespace]) => [
        name,
        { ...namespace, actions: withGroups(namespace.actions, action) },
      ]),
    );
  }
}

function withGroups(all: Actions, name: string): Actions {
  const action = Object.hasOwn(all, name) ? all[name] : undefined;
  if (!action) throw new Error(`the schema has no action ${name}`);
  const groups = (action.memberOf ?? []).map(({ id }) => withGroups(all, id));
  return Object.assign({ [name]: action }, ...groups) as Actions;
}
