/** IAM's actions on users, roles and keys; policies have files of their own. */
import { ApiError } from './api.ts';
import type { Call, Handlers, Parameters } from './api.ts';
import { noSuch } from './iam-model.ts';
import type { Role, User } from './iam-model.ts';
import { identityPolicyHandlers } from './iam-identity-policy-api.ts';
import { managedPolicyHandlers } from './iam-managed-policy-api.ts';
import { simulationHandlers } from './iam-simulation-api.ts';
import { iamPage, urlEncoded } from './iam-wire.ts';
import type { IamStore } from './iam-store.ts';
import { members } from './xml.ts';
import type { XmlObject } from './xml.ts';

export function iamHandlers(iam: IamStore): Handlers {
  return {
    ...userHandlers(iam),
    ...roleHandlers(iam),
    ...keyHandlers(iam),
    ...identityPolicyHandlers(iam),
    ...managedPolicyHandlers(iam),
    ...simulationHandlers(iam),
    GetAccountSummary: (call) => accountSummary(iam, call),
  };
}

const tagList = (tags: Readonly<Record<string, string>>) =>
  members(Object.entries(tags).map(([Key, Value]) => ({ Key, Value })));

const boundaryOf = (identity: User | Role) =>
  identity.boundaryArn === undefined
    ? undefined
    : { PermissionsBoundaryType: 'Policy', PermissionsBoundaryArn: identity.boundaryArn };

const userShape = (user: User): XmlObject => ({
  Path: user.path,
  UserName: user.name,
  UserId: user.id,
  Arn: user.arn,
  CreateDate: user.createdAt,
  PermissionsBoundary: boundaryOf(user),
  Tags: tagList(user.tags),
});

const roleShape = (role: Role): XmlObject => ({
  Path: role.path,
  RoleName: role.name,
  RoleId: role.id,
  Arn: role.arn,
  CreateDate: role.createdAt,
  AssumeRolePolicyDocument: urlEncoded(role.trust.text),
  Description: role.description,
  MaxSessionDuration: role.maxSessionSeconds,
  PermissionsBoundary: boundaryOf(role),
  Tags: tagList(role.tags),
});

function identityOptions(parameters: Parameters) {
  return {
    path: parameters.optional('Path'),
    tags: parameters.tags(),
    boundaryArn: parameters.optional('PermissionsBoundary'),
  };
}

const boundaryContext = (parameters: Parameters): Record<string, string> => {
  const boundary = parameters.optional('PermissionsBoundary');
  return boundary === undefined ? {} : { 'iam:PermissionsBoundary': boundary };
};

function userHandlers(iam: IamStore): Handlers {
  return {
    CreateUser: ({ parameters, require }) => {
      const name = parameters.required('UserName');
      const options = identityOptions(parameters);
      require('iam:CreateUser', iam.arn('user', options.path ?? '/', name), boundaryContext(parameters));
      return { User: userShape(iam.createUser(name, options)) };
    },
    GetUser: (call) => {
      const name = call.parameters.optional('UserName') ?? ownName(call);
      call.require('iam:GetUser', userArn(iam, name));
      return { User: userShape(iam.user(name)) };
    },
    ListUsers: (call) => {
      call.require('iam:ListUsers', iam.arn('user', '/', ''));
      const prefix = call.parameters.optional('PathPrefix') ?? '/';
      const users = [...iam.users.values()].filter((user) => user.path.startsWith(prefix));
      return iamPage(call, 'Users', users.map(userShape));
    },
    DeleteUser: ({ parameters, require }) => {
      const name = parameters.required('UserName');
      require('iam:DeleteUser', userArn(iam, name));
      iam.deleteUser(name);
      return undefined;
    },
  };
}

/** The ARN to ask permission for; a name that is unknown is taken to be without a path, as AWS does. */
const userArn = (iam: IamStore, name: string): string => iam.users.get(name)?.arn ?? iam.arn('user', '/', name);
const roleArn = (iam: IamStore, name: string): string => iam.roles.get(name)?.arn ?? iam.arn('role', '/', name);

function ownName(call: Call): string {
  if (call.credential.kind === 'user') return call.credential.userName;
  throw new ApiError('ValidationError', 'Must specify userName when calling with non-User credentials');
}

function roleHandlers(iam: IamStore): Handlers {
  return {
    CreateRole: ({ parameters, require }) => {
      const name = parameters.required('RoleName');
      const options = identityOptions(parameters);
      require('iam:CreateRole', iam.arn('role', options.path ?? '/', name), boundaryContext(parameters));
      const role = iam.createRole(name, parameters.required('AssumeRolePolicyDocument'), {
        ...options,
        maxSessionSeconds: parameters.integer('MaxSessionDuration'),
        description: parameters.optional('Description'),
      });
      return { Role: roleShape(role) };
    },
    GetRole: ({ parameters, require }) => {
      const name = parameters.required('RoleName');
      require('iam:GetRole', roleArn(iam, name));
      return { Role: roleShape(iam.role(name)) };
    },
    ListRoles: (call) => {
      call.require('iam:ListRoles', iam.arn('role', '/', ''));
      const prefix = call.parameters.optional('PathPrefix') ?? '/';
      const roles = [...iam.roles.values()].filter((role) => role.path.startsWith(prefix));
      return iamPage(call, 'Roles', roles.map(roleShape));
    },
    UpdateAssumeRolePolicy: ({ parameters, require }) => {
      const name = parameters.required('RoleName');
      require('iam:UpdateAssumeRolePolicy', roleArn(iam, name));
      iam.modifiableRole(name).trust = iam.readTrust(parameters.required('PolicyDocument'));
      return undefined;
    },
    DeleteRole: ({ parameters, require }) => {
      const name = parameters.required('RoleName');
      require('iam:DeleteRole', roleArn(iam, name));
      iam.deleteRole(name);
      return undefined;
    },
  };
}

function keyHandlers(iam: IamStore): Handlers {
  const ownedKey = (userName: string, accessKeyId: string) => {
    const key = iam.credentials.keysOfUser(userName).find((candidate) => candidate.accessKeyId === accessKeyId);
    if (key === undefined) throw noSuch(`The Access Key with id ${accessKeyId}`);
    return key;
  };
  return {
    CreateAccessKey: (call) => {
      const name = call.parameters.optional('UserName') ?? ownName(call);
      call.require('iam:CreateAccessKey', userArn(iam, name));
      const key = iam.createAccessKey(name);
      return {
        AccessKey: {
          UserName: name,
          AccessKeyId: key.accessKeyId,
          Status: key.status,
          SecretAccessKey: key.secretAccessKey,
          CreateDate: key.createdAt,
        },
      };
    },
    ListAccessKeys: (call) => {
      const name = call.parameters.optional('UserName') ?? ownName(call);
      call.require('iam:ListAccessKeys', userArn(iam, name));
      iam.user(name);
      const shape = (key: ReturnType<typeof ownedKey>): XmlObject => ({
        UserName: name,
        AccessKeyId: key.accessKeyId,
        Status: key.status,
        CreateDate: key.createdAt,
      });
      return iamPage(call, 'AccessKeyMetadata', iam.credentials.keysOfUser(name).map(shape));
    },
    UpdateAccessKey: (call) => {
      const name = call.parameters.optional('UserName') ?? ownName(call);
      call.require('iam:UpdateAccessKey', userArn(iam, name));
      const status = call.parameters.required('Status');
      if (status !== 'Active' && status !== 'Inactive') throw new ApiError('ValidationError', 'Status is not valid.');
      ownedKey(name, call.parameters.required('AccessKeyId')).status = status;
      return undefined;
    },
    DeleteAccessKey: (call) => {
      const name = call.parameters.optional('UserName') ?? ownName(call);
      call.require('iam:DeleteAccessKey', userArn(iam, name));
      iam.credentials.delete(ownedKey(name, call.parameters.required('AccessKeyId')).accessKeyId);
      return undefined;
    },
  };
}

function accountSummary(iam: IamStore, call: Call): XmlObject {
  call.require('iam:GetAccountSummary', '*');
  const { quotas } = iam;
  const summary: Record<string, number> = {
    Users: iam.users.size,
    UsersQuota: quotas.users,
    Roles: iam.roles.size,
    RolesQuota: quotas.roles,
    Policies: iam.policies.size,
    PoliciesQuota: quotas.policies,
    PolicySizeQuota: quotas.managedSize,
    UserPolicySizeQuota: quotas.userInlineSize,
    RolePolicySizeQuota: quotas.roleInlineSize,
    AssumeRolePolicySizeQuota: quotas.trustSize,
    VersionsPerPolicyQuota: quotas.versionsPerPolicy,
    AttachedPoliciesPerUserQuota: quotas.attachedPerUser,
    AttachedPoliciesPerRoleQuota: quotas.attachedPerRole,
    AccessKeysPerUserQuota: quotas.keysPerUser,
  };
  return {
    SummaryMap: members(
      Object.entries(summary).map(([key, value]) => ({ key, value })),
      'entry',
    ),
  };
}
