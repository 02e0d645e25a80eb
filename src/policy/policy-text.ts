import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import type { StepUp } from '../platform/errors.js';
import { actions, type Action } from './policy.contract.js';
import { readStepUp } from './step-up.js';

/** What a policy says of itself, beside its rule. */
export interface PolicyNote {
  readonly effect: 'permit' | 'forbid';
  readonly advice: string | undefined;
  readonly approvals: number;
  /** Of a forbid that another sign-in would lift. */
  readonly stepUp: StepUp | undefined;
}

/** A policy file that passed every check: texts by `@id`, their notes, and which of them can matter to each action. */
export interface CheckedPolicies {
  readonly texts: Readonly<Record<string, string>>;
  readonly notes: ReadonlyMap<string, PolicyNote>;
  readonly byAction: ReadonlyMap<Action, readonly string[]>;
}

/** The policy or its schema cannot be used. The message names the file, the policy and what is wrong with it. */
export class PolicyFileError extends Error {
  override readonly name = 'PolicyFileError';
}

const maxBytes = 256 * 1024;
const maxNesting = 50;
const knownAnnotations = new Set(['id', 'advice', 'approvals', 'max_age', 'acr_values']);
const idShape = /^[a-z][a-z0-9-]{0,62}$/;
const approvalsShape = /^([1-9]|10)$/;

/**
 * Reads policies keyed by their `@id` and refuses whatever is not strictly valid, warnings included: a policy that
 * can never apply is one that somebody believes in.
 * @param file only named in errors
 * @throws PolicyFileError
 */
export function checkPolicies(file: string, text: string, schema: string): CheckedPolicies {
  try {
    return check(file, text, schema);
  } catch (cause) {
    if (cause instanceof PolicyFileError) throw cause;
    throw new PolicyFileError(`${file}: cannot be parsed. ${cause instanceof Error ? cause.message : ''}`, { cause });
  }
}

function check(file: string, text: string, schema: string): CheckedPolicies {
  refuseHostileText(file, text);
  const texts: Record<string, string> = Object.create(null) as Record<string, string>;
  const notes = new Map<string, PolicyNote>();
  for (const policy of splitPolicies(file, text)) {
    const [id, note] = readNote(file, policy);
    if (notes.has(id)) throw new PolicyFileError(`${file}: two policies have @id("${id}"); each needs its own.`);
    texts[id] = policy;
    notes.set(id, note);
  }
  if (notes.size === 0) throw new PolicyFileError(`${file}: no policy in it, so nobody could do anything.`);
  validate(file, texts, schema);
  return { texts, notes, byAction: slice(file, texts, notes, schema) };
}

/** Deep nesting overflows the stack of the WebAssembly instance and ruins it for every later call, so it never gets there. */
function refuseHostileText(file: string, text: string): void {
  if (Buffer.byteLength(text) > maxBytes) throw new PolicyFileError(`${file}: larger than ${maxBytes / 1024} KB.`);
  const code = text.replace(/"(?:[^"\\]|\\[^])*"|\/\/.*/g, '');
  let depth = 0;
  for (const character of code) {
    if ('([{'.includes(character)) depth += 1;
    else if (')]}'.includes(character)) depth -= 1;
    if (depth > maxNesting) throw new PolicyFileError(`${file}: brackets nested deeper than ${maxNesting}.`);
  }
  // `!!!…` and `if if if …` nest without brackets
  if (/(?:[!-]\s*){10}/.test(code)) throw new PolicyFileError(`${file}: ten operators in a row.`);
  const conditionals = code.match(/\bif\b/g)?.length ?? 0;
  if (conditionals > 200) throw new PolicyFileError(`${file}: more than 200 times "if".`);
}

function splitPolicies(file: string, text: string): string[] {
  const parts = cedar.policySetTextToParts(text);
  if (parts.type === 'failure') {
    throw new PolicyFileError(
      parts.errors.map((error) => `${file}:${lineOf(text, error)}: ${sentence(error)}`).join('\n'),
    );
  }
  if (parts.policy_templates.length > 0) {
    throw new PolicyFileError(`${file}: policy templates (?principal, ?resource) are not supported.`);
  }
  return parts.policies;
}

function readNote(file: string, policy: string): [string, PolicyNote] {
  const read = cedar.policyToJson(policy);
  if (read.type === 'failure') throw new PolicyFileError(`${file}: ${read.errors.map(sentence).join(' ')}`);
  const annotations: Record<string, string | null> = read.json.annotations ?? {};
  const { id, advice, approvals } = annotations;
  if (!id || !idShape.test(id)) {
    const start = JSON.stringify(policy.replace(/\s+/g, ' ').slice(0, 80));
    throw new PolicyFileError(`${file}: ${start} needs an @id("…") of lower-case letters, digits and dashes.`);
  }
  const refuse = (what: string): never => {
    throw new PolicyFileError(`${file}: policy "${id}": ${what}`);
  };
  for (const name of Object.keys(annotations)) {
    if (!knownAnnotations.has(name))
      refuse(`unknown annotation @${name}; there are @id, @advice, @approvals, @max_age and @acr_values.`);
  }
  if (read.json.effect === 'forbid' && !advice?.trim()) {
    refuse('a forbid needs @advice("…"): what can the person do about it?');
  }
  if (approvals !== undefined && (read.json.effect !== 'permit' || !approvalsShape.test(approvals ?? ''))) {
    refuse('@approvals("n") belongs on a permit and is 1 to 10.');
  }
  const { effect } = read.json;
  const stepUp = readStepUp(annotations, refuse);
  if (stepUp && effect !== 'forbid')
    refuse('@max_age and @acr_values belong on a forbid, which another sign-in lifts.');
  return [id, { effect, advice: advice ?? undefined, approvals: Number(approvals ?? 0), stepUp }];
}

function validate(file: string, texts: Record<string, string>, schema: string): void {
  const answer = cedar.validate({
    schema,
    policies: { staticPolicies: texts },
    validationSettings: { mode: 'strict' },
  });
  if (answer.type === 'failure') throw new PolicyFileError(`${file}: ${answer.errors.map(sentence).join(' ')}`);
  const found = [
    ...[...answer.validationErrors, ...answer.validationWarnings].map(
      ({ policyId, error }) => `${file}: policy "${policyId}": ${sentence(error)}`,
    ),
    ...answer.otherWarnings.map((warning) => `${file}: ${sentence(warning)}`),
  ];
  if (found.length > 0) throw new PolicyFileError(found.join('\n'));
}

/** Deciding costs time for each policy looked at, so each action gets only those that can ever apply to it. */
function slice(
  file: string,
  texts: Record<string, string>,
  notes: ReadonlyMap<string, PolicyNote>,
  schema: string,
): Map<Action, string[]> {
  const byAction = new Map<Action, string[]>(actions.map((action) => [action, []]));
  for (const [id, text] of Object.entries(texts)) {
    const envs = cedar.getValidRequestEnvsPolicy(text, schema);
    if (envs.type === 'failure') throw new PolicyFileError(`${file}: policy "${id}": ${envs.error}`);
    const applies = actions.filter((action) => envs.actions.includes(`Usher::Action::"${action}"`));
    if (applies.length !== envs.actions.length) {
      throw new PolicyFileError(`${file}: policy "${id}" is about actions that Usher does not have.`);
    }
    if (notes.get(id)?.approvals && !applies.includes('request')) {
      throw new PolicyFileError(`${file}: policy "${id}": @approvals has a meaning only where action is "request".`);
    }
    for (const action of applies) byAction.get(action)?.push(id);
  }
  return byAction;
}

const sentence = (error: cedar.DetailedError): string =>
  error.help ? `${error.message} (${error.help})` : error.message;

/** Cedar counts UTF-8 bytes, not characters. */
function lineOf(text: string, error: cedar.DetailedError): number {
  const start = error.sourceLocations?.[0]?.start ?? 0;
  return Buffer.from(text).subarray(0, start).toString().split('\n').length;
}
