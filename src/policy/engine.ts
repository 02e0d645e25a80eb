import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import { actions, type Decision } from './policy.contract.js';
import { checkPolicies, PolicyFileError, type CheckedPolicies } from './policy-text.js';
import { toCedar, type CedarQuestion, type Question } from './question.js';
import { joinStepUps } from './step-up.js';

/** The policy that is shipped, and the schema that every policy is checked against. */
export const defaultPolicyFile = fileURLToPath(new URL('./default.cedar', import.meta.url));
const schemaFile = fileURLToPath(new URL('./schema.cedarschema', import.meta.url));

/**
 * Cedar, with what it does not do by itself (each of these fails open without it):
 * the schema goes with every question, or action groups silently match nothing;
 * an error in any policy denies, as Cedar skips a forbid that errs; so does anything thrown.
 */
export class PolicyEngine {
  /** Ids of the loaded policies, sorted. */
  readonly policies: readonly string[];
  /** SHA-256 of schema and policies, in hex: which rules decided, for the audit. */
  readonly version: string;
  /**
   * Whether two targets or profiles with the same attributes may be decided on differently: only a policy that says the name of
   * their type can mean one of them. Also true where the word merely stands in a remark.
   */
  readonly tellsAlikeApart: boolean;
  readonly #checked: CheckedPolicies;

  /** @throws PolicyFileError when the text cannot be used, naming `file` */
  constructor(text: string, file: string) {
    const schema = readPolicyFile(schemaFile);
    refuseFailure(schemaFile, cedar.checkParseSchema(schema));
    this.#checked = checkPolicies(file, text, schema);
    this.tellsAlikeApart = /\b(Target|Profile)\b/.test(text);
    this.policies = [...this.#checked.notes.keys()].sort();
    this.version = createHash('sha256').update(schema).update('\0').update(text).digest('hex');
    this.#prepare(file, schema);
  }

  /** @param file the company's own policy; without it the one that is shipped */
  static load(file: string = defaultPolicyFile): PolicyEngine {
    return new PolicyEngine(readPolicyFile(file), file);
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
        preparsedPolicySetId: `${this.version}:${policies}`,
        preparsedSchemaName: this.version,
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

  /** What was parsed stays for ever in the WebAssembly instance, so it is filed under its own hash: once a text, not once an engine. */
  #prepare(file: string, schema: string): void {
    refuseFailure(schemaFile, cedar.preparseSchema(this.version, schema));
    for (const action of actions) {
      const ids = this.#checked.byAction.get(action) ?? [];
      const others = ids.filter((id) => !this.#checked.notes.get(id)?.stepUp);
      this.#prepareSet(file, action, ids);
      if (others.length < ids.length) this.#prepareSet(file, signedIn(action), others);
    }
  }

  #prepareSet(file: string, name: string, ids: readonly string[]): void {
    const staticPolicies = Object.fromEntries(ids.map((id) => [id, this.#checked.texts[id] ?? '']));
    refuseFailure(file, cedar.preparsePolicySet(`${this.version}:${name}`, { staticPolicies }));
  }
}

/** The policies of an action without those that ask for another sign-in: as they would decide after it. */
const signedIn = (action: string): string => `${action}:signed-in`;

const denied = (errors: readonly string[]): Decision => ({
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
    throw new PolicyFileError(`${file}: cannot be read. ${cause instanceof Error ? cause.message : ''}`, { cause });
  }
}

function refuseFailure(file: string, answer: cedar.CheckParseAnswer): void {
  if (answer.type === 'success') return;
  throw new PolicyFileError(`${file}: ${answer.errors.map((error) => error.message).join(' ')}`);
}
