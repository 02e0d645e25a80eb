/** SimulatePrincipalPolicy: the evaluator over the policies that are stored, with what the caller supplies besides. */
import { ApiError } from './api.ts';
import type { Call, Handlers, Parameters } from './api.ts';
import { layersOf } from './authorization.ts';
import { noSuch, readDocument } from './iam-model.ts';
import type { Role, User } from './iam-model.ts';
import type { IamStore } from './iam-store.ts';
import { evaluate } from './policy-evaluator.ts';
import type { Context } from './policy-pattern.ts';
import { members } from './xml.ts';

export function simulationHandlers(iam: IamStore): Handlers {
  return { SimulatePrincipalPolicy: (call) => simulate(iam, call) };
}

function simulate(iam: IamStore, call: Call) {
  const source = call.parameters.required('PolicySourceArn');
  call.require('iam:SimulatePrincipalPolicy', source);
  const identity = [...iam.users.values(), ...iam.roles.values()].find(({ arn }) => arn === source);
  if (identity === undefined) throw noSuch(`The policy source ${source}`);
  const actions = call.parameters.list('ActionNames.member');
  if (actions.length === 0) throw new ApiError('InvalidInput', 'At least one action is needed.');
  const given = call.parameters.list('ResourceArns.member');
  const resources = given.length === 0 ? ['*'] : given;
  const extra = call.parameters.list('PolicyInputList.member').map((text) => readDocument(text, 'identity').parsed);
  const layers = layersOf(iam, identity);
  const context = { ...callerContext(identity), ...suppliedContext(call.parameters) };
  const results = actions.flatMap((action) =>
    resources.map((resource) => ({
      EvalActionName: action,
      EvalResourceName: resource,
      EvalDecision: evaluate({ ...layers, identity: [...layers.identity, ...extra] }, { action, resource, context })
        .outcome,
      MatchedStatements: members([]),
      MissingContextValues: members([]),
    })),
  );
  return { IsTruncated: false, EvaluationResults: members(results) };
}

const callerContext = (identity: User | Role): Context => ({
  'aws:PrincipalArn': identity.arn,
  ...(identity.kind === 'user' ? { 'aws:username': identity.name, 'aws:userid': identity.id } : {}),
});

/** Only what is supplied counts: the simulator does not put in the time by itself. */
const suppliedContext = (parameters: Parameters): Context =>
  Object.fromEntries(
    parameters
      .structures('ContextEntries.member')
      .map((entry) => [entry.required('ContextKeyName'), entry.list('ContextKeyValues.member')] as const),
  );
