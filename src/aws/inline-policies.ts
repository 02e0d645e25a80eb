import {
  AttachRolePolicyCommand,
  AttachUserPolicyCommand,
  DeleteRolePolicyCommand,
  DeleteUserPolicyCommand,
  DetachRolePolicyCommand,
  DetachUserPolicyCommand,
  GetRoleCommand,
  GetRolePolicyCommand,
  GetUserCommand,
  GetUserPolicyCommand,
  type IAMClient,
  ListAttachedRolePoliciesCommand,
  ListAttachedUserPoliciesCommand,
  ListRolePoliciesCommand,
  ListUserPoliciesCommand,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam';
import type { Principal } from './principal.js';

interface Page {
  readonly PolicyNames?: string[] | undefined;
  readonly IsTruncated?: boolean | undefined;
  readonly Marker?: string | undefined;
}

interface AttachedPage {
  readonly AttachedPolicies?: { PolicyArn?: string | undefined }[] | undefined;
  readonly IsTruncated?: boolean | undefined;
  readonly Marker?: string | undefined;
}

/** IAM's calls for one principal: users and roles have the same ones under different names. Throws what the SDK throws. */
export interface InlinePolicies {
  /** ARN of the user or role that has this name in the account of the client's credentials. */
  arn(): Promise<string | undefined>;
  page(Marker: string | undefined): Promise<Page>;
  /** Percent-encoded (RFC 3986), as IAM answers. */
  encodedDocument(PolicyName: string): Promise<string | undefined>;
  put(PolicyName: string, PolicyDocument: string): Promise<void>;
  remove(PolicyName: string): Promise<void>;
  attachedPage(Marker: string | undefined): Promise<AttachedPage>;
  attach(PolicyArn: string): Promise<void>;
  detach(PolicyArn: string): Promise<void>;
}

export const inlinePolicies = (client: IAMClient, principal: Principal): InlinePolicies =>
  principal.kind === 'user' ? ofUser(client, principal.name) : ofRole(client, principal.name);

const ofUser = (client: IAMClient, UserName: string): InlinePolicies => ({
  arn: async () => (await client.send(new GetUserCommand({ UserName }))).User?.Arn,
  page: (Marker) => client.send(new ListUserPoliciesCommand({ UserName, Marker })),
  encodedDocument: async (PolicyName) =>
    (await client.send(new GetUserPolicyCommand({ UserName, PolicyName }))).PolicyDocument,
  put: async (PolicyName, PolicyDocument) => {
    await client.send(new PutUserPolicyCommand({ UserName, PolicyName, PolicyDocument }));
  },
  remove: async (PolicyName) => {
    await client.send(new DeleteUserPolicyCommand({ UserName, PolicyName }));
  },
  attachedPage: (Marker) => client.send(new ListAttachedUserPoliciesCommand({ UserName, Marker })),
  attach: async (PolicyArn) => {
    await client.send(new AttachUserPolicyCommand({ UserName, PolicyArn }));
  },
  detach: async (PolicyArn) => {
    await client.send(new DetachUserPolicyCommand({ UserName, PolicyArn }));
  },
});

const ofRole = (client: IAMClient, RoleName: string): InlinePolicies => ({
  arn: async () => (await client.send(new GetRoleCommand({ RoleName }))).Role?.Arn,
  page: (Marker) => client.send(new ListRolePoliciesCommand({ RoleName, Marker })),
  encodedDocument: async (PolicyName) =>
    (await client.send(new GetRolePolicyCommand({ RoleName, PolicyName }))).PolicyDocument,
  put: async (PolicyName, PolicyDocument) => {
    await client.send(new PutRolePolicyCommand({ RoleName, PolicyName, PolicyDocument }));
  },
  remove: async (PolicyName) => {
    await client.send(new DeleteRolePolicyCommand({ RoleName, PolicyName }));
  },
  attachedPage: (Marker) => client.send(new ListAttachedRolePoliciesCommand({ RoleName, Marker })),
  attach: async (PolicyArn) => {
    await client.send(new AttachRolePolicyCommand({ RoleName, PolicyArn }));
  },
  detach: async (PolicyArn) => {
    await client.send(new DetachRolePolicyCommand({ RoleName, PolicyArn }));
  },
});
