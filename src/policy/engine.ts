import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import { together, type Distinctions } from './distinctions.js';
import { actions, type Action, type Decision, type PolicyPerson } from './policy.contract.js';
import { PolicyFileError } from './policy-problem.js';
import { checkPolicies, type CheckedPolicies, type PolicyNote } from './policy-text.js';
import { toCedar, type CedarQuestion, type Question } from './question.js';
import { SchemaSlices } from './schema-slices.js';
import { joinStepUps } from './step-up.js';

/** The policy that is shipped, and the schema that every policy is checked against. */
export const defaultPolicyFile = fileURLToPath(new URL('./default.cedar', import.meta.url));
const schemaFile = fileURLToPath(new URL('./schema.cedarschema', import.meta.url));

/** What is asked: a set of policies, or whatever stands in its place. */
export interface Rules {
  /** SHA-256 of schema and policies, in hex. */
  readonly version: string;
  /** SHA-256 of the text of the policies, in hex; `sha256sum` of the file says the same. */
  readonly sha256: string;
  /** Why nothing can be decided, and so everything is denied. */
  readonly fault?: string | undefined;
  /** What of a target and a profile can matter to what this person asks. */
  distinctions(person: PolicyPerson, asked: readonly Action[]): Distinctions;
  /** Never throws: what cannot be decided is denied. */
  decide(question: Question): Decision;
}

/** One policy of a set, as it says of itself. */
export interface PolicyAbout extends PolicyNote {
  readonly id: string;
  readonly text: string;
  /** Those that it can ever matter to. */
  readonly actions: readonly Action[];
}

/** Of the policy that is shipped. */
export const readDefaultPolicy = (): string => readPolicyFile(defaultPolicyFile);
/** What every policy is checked against. */
export const readPolicySchema = (): string => readPolicyFile(schemaFile);

/**
 * Cedar, with what it does not do by itself (each of these fails open without it):
 * the schema goes with every question, or action groups silently match nothing;
 * an error in any policy denies, as Cedar skips a forbid that errs; so does anything thrown.
 */
export class PolicyEngine implements Rules {
  /** Ids of the loaded policies, sorted. */
  readonly policies: readonly string[];
  /** SHA-256 of schema and policies, in hex: which rules decided, for the audit. */
  readonly version: string;
  readonly sha256: string;
  readonly #checked: CheckedPolicies;

  /**
   * @param place under which Cedar keeps what it parsed, for ever: whoever loads one text after another uses the same few again,
   *   and then the engine that had the place before must not be asked any more. Without it the text has a place of its own.
   * @throws PolicyFileError when the text cannot be used, naming `file`
   */
  constructor(
    readonly text: string,
    file: string,
    readonly place: string = versionOf(text),
  ) {
    const schema = readPolicySchema();
    refuseFailure(schemaFile, cedar.checkParseSchema(schema));
    this.#checked = checkPolicies(file, text, schema);
    this.policies = [...this.#checked.notes.keys()].sort();
    this.version = versionOf(text, schema);
    this.sha256 = createHash('sha256').update(text).digest('hex');
    this.#prepare(file);
  }

  /** @param file the company's own policy; without it the one that is shipped */
  static load(file: string = defaultPolicyFile): PolicyEngine {
    return new PolicyEngine(readPolicyFile(file), file);
  }

  /** Of the policies that can apply: one whose scope asks for a group says nothing to who is not in it. */
  distinctions(person: PolicyPerson, asked: readonly Action[]): Distinctions {
    const { notes, distinctions } = this.#checked;
    const ids = [...new Set(asked.flatMap((action) => this.#of(action)))].filter((id) => {
      const group = notes.get(id)?.group;
      return group === undefined || person.groups.includes(group);
    });
    return together(ids.flatMap((id) => distinctions.get(id) ?? []));
  }

  /** Every policy of the set, by id. */
  about(): PolicyAbout[] {
    return [...this.#checked.notes]
      .map(([id, note]) => {
        const applies = actions.filter((action) => this.#of(action).includes(id));
        return { id, ...note, text: this.#checked.texts[id] ?? '', actions: applies };
      })
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Never throws: what cannot be decided is denied. */
  decide(question: Question): Decision {
    try {
      return this.decideCedar(toCedar(question));
    } catch (error) {
      return denied([describeFault(error)]);
    }
  }

  /** For questions that are already in Cedar's form. Never throws. */
  decideCedar(question: CedarQuestion): Decision {
    const decision = this.#ask(question, question.action.id);
    const stepUps = decision.policies.flatMap((id) => this.#checked.notes.get(id)?.stepUp ?? []);
    const onlyStepUps = stepUps.length > 0 && stepUps.length === decision.policies.length;
    if (decision.allowed || decision.errors.length > 0 || !onlyStepUps) return decision;
    // Nobody is sent to sign in anew for what he would then be denied all the same: without these forbids it must be allowed
    const otherwise = this.#ask(question, signedIn(question.action.id));
    return otherwise.allowed ? { ...decision, stepUp: joinStepUps(stepUps) } : otherwise;
  }

  #ask(question: CedarQuestion, policies: string): Decision {
    try {
      const answer = cedar.statefulIsAuthorized({
        ...question,
        preparsedPolicySetId: `${this.place}:${policies}`,
        preparsedSchemaName: schemaSlices().placeOf(question.action.id),
        validateRequest: true,
      });
      if (answer.type === 'failure') return denied(answer.errors.map((error) => error.message));
      return this.#read(answer.response);
    } catch (error) {
      return denied([describeFault(error)]);
    }
  }

  #read({ decision, diagnostics }: cedar.Response): Decision {
    const policies = diagnostics.reason.sort();
    const errors = diagnostics.errors.map(({ policyId, error }) => `${policyId}: ${error.message}`).sort();
    if (errors.length > 0)
      return {
        ...denied(errors),
        policies: decision === 'deny' ? policies : [],
        advice: this.#advice(decision, policies),
      };
    const approvals = Math.max(0, ...policies.map((id) => this.#checked.notes.get(id)?.approvals ?? 0));
    const allowed = decision === 'allow';
    return { allowed, policies, advice: this.#advice(decision, policies), approvals: allowed ? approvals : 0, errors };
  }

  #advice(decision: cedar.Decision, policies: readonly string[]): string[] {
    if (decision === 'allow') return [];
    return policies.flatMap((id) => this.#checked.notes.get(id)?.advice ?? []);
  }

  #of(action: Action): readonly string[] {
    return this.#checked.byAction.get(action) ?? [];
  }

  /** What was parsed stays for ever in the WebAssembly instance; by default it is filed under its own hash, once a text. */
  #prepare(file: string): void {
    for (const action of actions) {
      const ids = this.#of(action);
      const others = ids.filter((id) => !this.#checked.notes.get(id)?.stepUp);
      this.#prepareSet(file, action, ids);
      if (others.length < ids.length) this.#prepareSet(file, signedIn(action), others);
    }
  }

  #prepareSet(file: string, name: string, ids: readonly string[]): void {
    const staticPolicies = Object.fromEntries(ids.map((id) => [id, this.#checked.texts[id] ?? '']));
    refuseFailure(file, cedar.preparsePolicySet(`${this.place}:${name}`, { staticPolicies }));
  }
}

/** The policies of an action without those that ask for another sign-in: as they would decide after it. */
const signedIn = (action: string): string => `${action}:signed-in`;

const versionOf = (text: string, schema = readPolicySchema()): string =>
  createHash('sha256').update(schema).update('\0').update(text).digest('hex');

/** Of the schema that this process started with: one for all sets of policies, as Cedar keeps each part for ever. */
const schemaSlices = (): SchemaSlices => (slices ??= new SchemaSlices(readPolicySchema(), 'schema'));
let slices: SchemaSlices | undefined;

/** The answer where nothing can be decided. */
export const denied = (errors: readonly string[]): Decision => ({
  allowed: false,
  policies: [],
  advice: [],
  approvals: 0,
  errors,
});

const describeFault = (error: unknown): string =>
  error instanceof Error ? `${error.name}: ${error.message}` : String(error);

function readPolicyFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const message = `cannot be read. ${cause instanceof Error ? cause.message : ''}`;
    throw new PolicyFileError(file, [{ message }], { cause });
  }
}

function refuseFailure(file: string, answer: cedar.CheckParseAnswer): void {
  if (answer.type === 'success') return;
  throw new PolicyFileError(file, [{ message: answer.errors.map((error) => error.message).join(' ') }]);
}
