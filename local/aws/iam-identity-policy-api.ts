/** Policies on users and roles: inline ones, and the attachments of managed ones. The two kinds differ in names alone. */
import type { Call, Handler, Handlers } from './api.ts';
import { noSuch } from './iam-model.ts';
import type { Role, User } from './iam-model.ts';
import type { IamStore } from './iam-store.ts';
import { iamPage, urlEncoded } from './iam-wire.ts';

type Kind = 'User' | 'Role';

export function identityPolicyHandlers(iam: IamStore): Handlers {
  return { ...handlersFor(iam, 'User'), ...handlersFor(iam, 'Role') };
}

/** Asks permission for `iam:{action}` before it says whether the identity is there. */
function allowed(iam: IamStore, kind: Kind, call: Call, change: boolean, policyArn?: string): User | Role {
  const name = call.parameters.required(`${kind}Name`);
  const found = kind === 'User' ? iam.users.get(name) : iam.roles.get(name);
  const arn = found?.arn ?? iam.arn(kind === 'User' ? 'user' : 'role', '/', name);
  call.require(`iam:${call.action}`, arn, {
    ...(policyArn === undefined ? {} : { 'iam:PolicyARN': policyArn }),
    ...(found?.boundaryArn === undefined ? {} : { 'iam:PermissionsBoundary': found.boundaryArn }),
  });
  if (kind === 'User') return iam.user(name);
  return change ? iam.modifiableRole(name) : iam.role(name);
}

function handlersFor(iam: IamStore, kind: Kind): Record<string, Handler> {
  return { ...inlineHandlers(iam, kind), ...attachmentHandlers(iam, kind) };
}

function inlineHandlers(iam: IamStore, kind: Kind): Record<string, Handler> {
  const inline = (identity: User | Role, name: string) => {
    const document = identity.inline.get(name);
    if (document === undefined) throw noSuch(`The ${identity.kind} policy with name ${name}`);
    return document;
  };
  return {
    [`Put${kind}Policy`]: (call) => {
      const identity = allowed(iam, kind, call, true);
      iam.putInline(identity, call.parameters.required('PolicyName'), call.parameters.required('PolicyDocument'));
      return undefined;
    },
    [`Get${kind}Policy`]: (call) => {
      const identity = allowed(iam, kind, call, false);
      const name = call.parameters.required('PolicyName');
      return {
        [`${kind}Name`]: identity.name,
        PolicyName: name,
        PolicyDocument: urlEncoded(inline(identity, name).text),
      };
    },
    [`List${kind}Policies`]: (call) => iamPage(call, 'PolicyNames', [...allowed(iam, kind, call, false).inline.keys()]),
    [`Delete${kind}Policy`]: (call) => {
      const identity = allowed(iam, kind, call, true);
      const name = call.parameters.required('PolicyName');
      inline(identity, name);
      identity.inline.delete(name);
      return undefined;
    },
  };
}

function attachmentHandlers(iam: IamStore, kind: Kind): Record<string, Handler> {
  return {
    [`Attach${kind}Policy`]: (call) => {
      const arn = call.parameters.required('PolicyArn');
      iam.attach(allowed(iam, kind, call, true, arn), arn);
      return undefined;
    },
    [`Detach${kind}Policy`]: (call) => {
      const arn = call.parameters.required('PolicyArn');
      const identity = allowed(iam, kind, call, true, arn);
      if (!identity.attached.delete(arn)) throw noSuch(`Policy ${arn}`);
      return undefined;
    },
    [`ListAttached${kind}Policies`]: (call) => {
      const identity = allowed(iam, kind, call, false);
      const prefix = call.parameters.optional('PathPrefix') ?? '/';
      const policies = [...identity.attached]
        .map((arn) => iam.policy(arn))
        .filter(({ path }) => path.startsWith(prefix));
      return iamPage(
        call,
        'AttachedPolicies',
        policies.map(({ name, arn }) => ({ PolicyName: name, PolicyArn: arn })),
      );
    },
  };
}
