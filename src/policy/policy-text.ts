import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import type { StepUp } from '../platform/errors.js';
import { RecentlyUsed } from '../platform/recently-used.js';
import { distinctionsOf, type Distinctions } from './distinctions.js';
import { actions, type Action } from './policy.contract.js';
import { placeIn, PolicyFileError, Unusable, type PolicyProblem } from './policy-problem.js';
import { readStepUp } from './step-up.js';

/** What a policy says of itself, beside its rule. */
export interface PolicyNote {
  readonly effect: 'permit' | 'forbid';
  readonly advice: string | undefined;
  readonly approvals: number;
  /** Of a forbid that another sign-in would lift. */
  readonly stepUp: StepUp | undefined;
  /** The group of which the scope wants the principal to be, `principal in Usher::Group::"…"`. */
  readonly group: string | undefined;
}

/** A policy file that passed every check: texts by `@id`, their notes, and which of them can matter to each action. */
export interface CheckedPolicies {
  readonly texts: Readonly<Record<string, string>>;
  readonly notes: ReadonlyMap<string, PolicyNote>;
  readonly byAction: ReadonlyMap<Action, readonly string[]>;
  readonly distinctions: ReadonlyMap<string, Distinctions>;
}

const maxBytes = 256 * 1024;
const maxNesting = 50;
const knownAnnotations = new Set(['id', 'advice', 'approvals', 'max_age', 'acr_values']);
const idShape = /^[a-z][a-z0-9-]{0,62}$/;
const approvalsShape = /^([1-9]|10)$/;
/** What an editor does not show, or shows in another order than it is read in. */
const unseen = /(?![\t\n\r])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

/**
 * Reads policies keyed by their `@id` and refuses whatever is not strictly valid, warnings included: a policy that
 * can never apply is one that somebody believes in.
 * @param file only named in errors
 * @throws PolicyFileError
 */
export function checkPolicies(file: string, text: string, schema: string): CheckedPolicies {
  try {
    return check(text, schema);
  } catch (cause) {
    if (cause instanceof Unusable) throw new PolicyFileError(file, cause.problems);
    const message = `cannot be parsed. ${cause instanceof Error ? cause.message : ''}`;
    throw new PolicyFileError(file, [{ message }], { cause });
  }
}

function check(text: string, schema: string): CheckedPolicies {
  refuseHostileText(text);
  const texts: Record<string, string> = Object.create(null) as Record<string, string>;
  const notes = new Map<string, PolicyNote>();
  const parsed = new Map<string, cedar.PolicyJson>();
  const distinctions = new Map<string, Distinctions>();
  for (const policy of splitPolicies(text)) {
    const json = parse(text, policy);
    const [id, note] = readNote(text, policy, json);
    if (notes.has(id)) throw new Unusable(`two policies have @id("${id}"); each needs its own.`);
    texts[id] = policy;
    notes.set(id, note);
    parsed.set(id, json);
    distinctions.set(id, distinctionsOf(json));
  }
  if (notes.size === 0) throw new Unusable('no policy in it, so nobody could do anything.');
  validate(text, texts, schema);
  return { texts, notes, byAction: slice(texts, notes, parsed, schema), distinctions };
}

/** Deep nesting overflows the stack of the WebAssembly instance and ruins it for every later call, so it never gets there. */
function refuseHostileText(text: string): void {
  if (Buffer.byteLength(text) > maxBytes) throw new Unusable(`larger than ${maxBytes / 1024} KB.`);
  const hidden = unseen.exec(text);
  if (hidden) {
    const name = `U+${(hidden[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
    throw new Unusable([{ message: `a character that cannot be seen (${name}).`, ...placeIn(text, hidden.index) }]);
  }
  const code = text.replace(/"(?:[^"\\]|\\[^])*"|\/\/.*/g, '');
  let depth = 0;
  for (const character of code) {
    if ('([{'.includes(character)) depth += 1;
    else if (')]}'.includes(character)) depth -= 1;
    if (depth > maxNesting) throw new Unusable(`brackets nested deeper than ${maxNesting}.`);
  }
  // `!!!…` and `if if if …` nest without brackets
  if (/(?:[!-]\s*){10}/.test(code)) throw new Unusable('ten operators in a row.');
  const conditionals = code.match(/\bif\b/g)?.length ?? 0;
  if (conditionals > 200) throw new Unusable('more than 200 times "if".');
}

function splitPolicies(text: string): string[] {
  const parts = cedar.policySetTextToParts(text);
  if (parts.type === 'failure') throw new Unusable(parts.errors.map((error) => problemOf(text, error)));
  if (parts.policy_templates.length > 0)
    throw new Unusable('policy templates (?principal, ?resource) are not supported.');
  return parts.policies;
}

function parse(text: string, policy: string): cedar.PolicyJson {
  const read = cedar.policyToJson(policy);
  if (read.type === 'failure') throw new Unusable(read.errors.map((error) => problemOf(text, error, { policy })));
  return read.json;
}

function readNote(text: string, policy: string, json: cedar.PolicyJson): [string, PolicyNote] {
  const annotations: Record<string, string | null> = json.annotations ?? {};
  const { id, advice, approvals } = annotations;
  if (!id || !idShape.test(id)) {
    const start = JSON.stringify(policy.replace(/\s+/g, ' ').slice(0, 80));
    const message = `${start} needs an @id("…") of lower-case letters, digits and dashes.`;
    throw new Unusable([{ message, ...placeIn(text, Math.max(0, text.indexOf(policy))) }]);
  }
  const refuse = (what: string): never => {
    throw new Unusable([{ policy: id, message: what, ...placeIn(text, Math.max(0, text.indexOf(policy))) }]);
  };
  for (const name of Object.keys(annotations)) {
    if (!knownAnnotations.has(name))
      refuse(`unknown annotation @${name}; there are @id, @advice, @approvals, @max_age and @acr_values.`);
  }
  if (json.effect === 'forbid' && !advice?.trim()) {
    refuse('a forbid needs @advice("…"): what can the person do about it?');
  }
  if (approvals !== undefined && (json.effect !== 'permit' || !approvalsShape.test(approvals ?? ''))) {
    refuse('@approvals("n") belongs on a permit and is 1 to 10.');
  }
  const { effect, principal } = json;
  const stepUp = readStepUp(annotations, refuse);
  if (stepUp && effect !== 'forbid')
    refuse('@max_age and @acr_values belong on a forbid, which another sign-in lifts.');
  const group = groupOf(principal);
  return [id, { effect, advice: advice ?? undefined, approvals: Number(approvals ?? 0), stepUp, group }];
}

/** Both `principal in Usher::Group::"x"` and `principal is Usher::Person in Usher::Group::"x"`. */
function groupOf(principal: cedar.PrincipalConstraint): string | undefined {
  const within = principal.op === 'is' ? principal.in : principal.op === 'in' ? principal : undefined;
  if (within === undefined || !('entity' in within)) return undefined;
  const uid = '__entity' in within.entity ? within.entity.__entity : within.entity;
  return uid.type === 'Usher::Group' ? uid.id : undefined;
}

function validate(text: string, texts: Record<string, string>, schema: string): void {
  const answer = cedar.validate({
    schema,
    policies: { staticPolicies: texts },
    validationSettings: { mode: 'strict' },
  });
  if (answer.type === 'failure') throw new Unusable(answer.errors.map((error) => problemOf(text, error)));
  const found = [
    ...[...answer.validationErrors, ...answer.validationWarnings].map(({ policyId: id, error }) =>
      problemOf(text, error, { id, policy: texts[id] ?? '' }),
    ),
    ...answer.otherWarnings.map((warning) => ({ message: sentence(warning) })),
  ];
  if (found.length > 0) throw new Unusable(found);
}

/** Deciding costs time for each policy looked at, so each action gets only those that can ever apply to it. */
function slice(
  texts: Record<string, string>,
  notes: ReadonlyMap<string, PolicyNote>,
  parsed: ReadonlyMap<string, cedar.PolicyJson>,
  schema: string,
): Map<Action, string[]> {
  const byAction = new Map<Action, string[]>(actions.map((action) => [action, []]));
  for (const [id, text] of Object.entries(texts)) {
    const about = actionOf(parsed.get(id)) ?? actionsOf(id, text, schema);
    const applies = actions.filter((action) => about.includes(`Usher::Action::"${action}"`));
    if (applies.length !== about.length) throw new Unusable('is about actions that Usher does not have.', id);
    if (notes.get(id)?.approvals && !applies.includes('request'))
      throw new Unusable('@approvals has a meaning only where action is "request".', id);
    for (const action of applies) byAction.get(action)?.push(id);
  }
  return byAction;
}

/** Of a policy that says just one: it passed as one that can apply, so it does to that. Cedar would be asked for some milliseconds. */
function actionOf(policy: cedar.PolicyJson | undefined): readonly string[] | undefined {
  if (policy?.action.op !== '==' || !('entity' in policy.action)) return undefined;
  const { entity } = policy.action;
  const { type, id } = '__entity' in entity ? entity.__entity : entity;
  return [`${type}::"${id}"`];
}

/** Half of what a check costs; and most policies of a set are those of the set before, word by word. */
const known = new RecentlyUsed<readonly string[]>(1_000);

function actionsOf(id: string, text: string, schema: string): readonly string[] {
  const before = known.get(text);
  if (before) return before;
  const envs = cedar.getValidRequestEnvsPolicy(text, schema);
  if (envs.type === 'failure') throw new Unusable(envs.error, id);
  known.set(text, envs.actions);
  return envs.actions;
}

const sentence = (error: cedar.DetailedError): string =>
  error.help ? `${error.message} (${error.help})` : error.message;

/** @param part the policy that Cedar was given alone: it stands in the text as it was cut out of it */
function problemOf(text: string, error: cedar.DetailedError, part?: { id?: string; policy: string }): PolicyProblem {
  const start = error.sourceLocations?.[0]?.start;
  const [given, offset] = part ? [part.policy, text.indexOf(part.policy)] : [text, 0];
  // Cedar counts UTF-8 bytes, not characters
  const within = start === undefined ? 0 : Buffer.from(given).subarray(0, start).toString().length;
  return {
    message: sentence(error),
    ...(part?.id !== undefined && { policy: part.id }),
    ...(offset >= 0 && (start !== undefined || part) && placeIn(text, offset + within)),
  };
}
