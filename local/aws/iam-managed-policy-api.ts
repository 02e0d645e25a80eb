/** Customer managed policies and their versions. */
import { ApiError } from './api.ts';
import type { Handlers } from './api.ts';
import { conflict, noSuch } from './iam-model.ts';
import type { ManagedPolicy, PolicyVersion } from './iam-model.ts';
import type { IamStore } from './iam-store.ts';
import { iamPage, urlEncoded } from './iam-wire.ts';
import { members } from './xml.ts';
import type { XmlObject } from './xml.ts';

export function managedPolicyHandlers(iam: IamStore): Handlers {
  return { ...policyHandlers(iam), ...versionHandlers(iam) };
}

function policyHandlers(iam: IamStore): Handlers {
  const shape = (policy: ManagedPolicy): XmlObject => ({
    PolicyName: policy.name,
    PolicyId: policy.id,
    Arn: policy.arn,
    Path: policy.path,
    DefaultVersionId: policy.defaultVersionId,
    AttachmentCount: iam.attachmentCount(policy.arn),
    PermissionsBoundaryUsageCount: 0,
    IsAttachable: true,
    Description: policy.description,
    CreateDate: policy.createdAt,
    UpdateDate: policy.updatedAt,
    Tags: members(Object.entries(policy.tags).map(([Key, Value]) => ({ Key, Value }))),
  });
  return {
    CreatePolicy: ({ parameters, require }) => {
      const name = parameters.required('PolicyName');
      const path = parameters.optional('Path');
      require('iam:CreatePolicy', iam.arn('policy', path ?? '/', name));
      const options = { path, tags: parameters.tags(), description: parameters.optional('Description') };
      return { Policy: shape(iam.createPolicy(name, parameters.required('PolicyDocument'), options)) };
    },
    GetPolicy: ({ parameters, require }) => {
      const arn = parameters.required('PolicyArn');
      require('iam:GetPolicy', arn);
      return { Policy: shape(iam.policy(arn)) };
    },
    ListPolicies: (call) => {
      call.require('iam:ListPolicies', '*');
      const prefix = call.parameters.optional('PathPrefix') ?? '/';
      const onlyAttached = call.parameters.optional('OnlyAttached') === 'true';
      // There are no AWS managed policies here, so the scope AWS is empty.
      const listed = call.parameters.optional('Scope') === 'AWS' ? [] : [...iam.policies.values()];
      const policies = listed.filter(
        ({ path, arn }) => path.startsWith(prefix) && (!onlyAttached || iam.attachmentCount(arn) > 0),
      );
      return iamPage(call, 'Policies', policies.map(shape));
    },
    DeletePolicy: ({ parameters, require }) => {
      const arn = parameters.required('PolicyArn');
      require('iam:DeletePolicy', arn);
      const policy = iam.policy(arn);
      if (iam.attachmentCount(arn) > 0) throw conflict('Cannot delete a policy attached to entities.');
      if (policy.versions.size > 1)
        throw conflict(
          "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.",
        );
      iam.policies.delete(arn);
      return undefined;
    },
  };
}

function versionHandlers(iam: IamStore): Handlers {
  const shape = (policy: ManagedPolicy, version: PolicyVersion): XmlObject => ({
    VersionId: version.id,
    IsDefaultVersion: version.id === policy.defaultVersionId,
    CreateDate: version.createdAt,
  });
  const find = (policy: ManagedPolicy, id: string): PolicyVersion => {
    if (!/^v[1-9]\d*$/.test(id)) throw new ApiError('InvalidInput', `Version ${id} is not valid.`);
    const version = policy.versions.get(id);
    if (version === undefined) throw noSuch(`Policy ${policy.arn} version ${id}`);
    return version;
  };
  return {
    CreatePolicyVersion: ({ parameters, require }) => {
      const arn = parameters.required('PolicyArn');
      require('iam:CreatePolicyVersion', arn);
      const setAsDefault = parameters.optional('SetAsDefault') === 'true';
      const version = iam.createVersion(arn, parameters.required('PolicyDocument'), setAsDefault);
      return { PolicyVersion: shape(iam.policy(arn), version) };
    },
    GetPolicyVersion: ({ parameters, require }) => {
      const arn = parameters.required('PolicyArn');
      require('iam:GetPolicyVersion', arn);
      const policy = iam.policy(arn);
      const version = find(policy, parameters.required('VersionId'));
      return { PolicyVersion: { Document: urlEncoded(version.text), ...shape(policy, version) } };
    },
    ListPolicyVersions: (call) => {
      const arn = call.parameters.required('PolicyArn');
      call.require('iam:ListPolicyVersions', arn);
      const policy = iam.policy(arn);
      const newestFirst = [...policy.versions.values()].reverse();
      return iamPage(
        call,
        'Versions',
        newestFirst.map((version) => shape(policy, version)),
      );
    },
    SetDefaultPolicyVersion: ({ parameters, require }) => {
      const arn = parameters.required('PolicyArn');
      require('iam:SetDefaultPolicyVersion', arn);
      const policy = iam.policy(arn);
      policy.defaultVersionId = find(policy, parameters.required('VersionId')).id;
      return undefined;
    },
    DeletePolicyVersion: ({ parameters, require }) => {
      const arn = parameters.required('PolicyArn');
      require('iam:DeletePolicyVersion', arn);
      const policy = iam.policy(arn);
      const version = find(policy, parameters.required('VersionId'));
      if (version.id === policy.defaultVersionId) throw conflict('Cannot delete the default version of a policy.');
      policy.versions.delete(version.id);
      return undefined;
    },
  };
}
