/** IAM's state and rules, quotas included. The API and the tests that seed it go through the same methods. */
import { ApiError } from './api.ts';
import { CredentialStore, uniqueId } from './credentials.ts';
import type { UserKey } from './credentials.ts';
import {
  awsQuotas,
  checkName,
  checkPath,
  conflict,
  exists,
  has,
  limit,
  mustBeBare,
  noSuch,
  policySize,
  readDocument,
} from './iam-model.ts';
import type { ManagedPolicy, PolicyVersion, Role, User } from './iam-model.ts';
import type { PolicyDocument } from './policy-document.ts';
import { Propagation } from './propagation.ts';

export interface IdentityOptions {
  /** Default `/`. */
  readonly path?: string | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** ARN of a managed policy. */
  readonly boundaryArn?: string | undefined;
}
export interface RoleOptions extends IdentityOptions {
  /** Default 3,600. */
  readonly maxSessionSeconds?: number | undefined;
  readonly description?: string | undefined;
}

/** A policy as text, or as an object that is serialised without whitespace. */
export type PolicyInput = string | Readonly<Record<string, unknown>>;
export const policyText = (policy: PolicyInput): string =>
  typeof policy === 'string' ? policy : JSON.stringify(policy);

export class IamStore {
  readonly accountId: string;
  readonly partition: string;
  /** Changeable, so that tests can stand in for an account with raised or spent quotas. */
  readonly quotas = awsQuotas();
  readonly credentials = new CredentialStore();
  readonly users = new Map<string, User>();
  readonly roles = new Map<string, Role>();
  /** By ARN. */
  readonly policies = new Map<string, ManagedPolicy>();
  /** Seconds until a change of a policy is felt. AWS takes up to a minute; here none unless a test asks. */
  propagationSeconds = 0;
  readonly #propagation = new Propagation();
  readonly #now: () => Date;

  constructor(accountId: string, partition: string, now: () => Date) {
    this.accountId = accountId;
    this.partition = partition;
    this.#now = now;
  }

  arn(kind: 'user' | 'role' | 'policy', path: string, name: string): string {
    return `arn:${this.partition}:iam::${this.accountId}:${kind}${path}${name}`;
  }

  createUser(name: string, options: IdentityOptions = {}): User {
    checkName(name, 'userName', 64);
    if (has(this.users, name)) throw exists(`User with name ${name}`);
    if (this.users.size >= this.quotas.users)
      throw limit(`Cannot exceed quota for UsersPerAccount: ${this.quotas.users}`);
    const user: User = { kind: 'user', ...this.#identity('user', name, options) };
    this.users.set(name, user);
    return user;
  }

  createRole(name: string, trust: PolicyInput, options: RoleOptions = {}): Role {
    checkName(name, 'roleName', 64);
    if (has(this.roles, name)) throw exists(`Role with name ${name}`);
    if (this.roles.size >= this.quotas.roles)
      throw limit(`Cannot exceed quota for RolesPerAccount: ${this.quotas.roles}`);
    const maxSessionSeconds = options.maxSessionSeconds ?? 3600;
    if (maxSessionSeconds < 3600 || maxSessionSeconds > 43_200)
      throw new ApiError('ValidationError', 'MaxSessionDuration must be between 3600 and 43200.');
    const role: Role = {
      kind: 'role',
      ...this.#identity('role', name, options),
      trust: this.readTrust(trust),
      maxSessionSeconds,
      description: options.description,
    };
    this.roles.set(name, role);
    return role;
  }

  /** @throws ApiError MalformedPolicyDocument, LimitExceeded */
  readTrust(trust: PolicyInput): Role['trust'] {
    const text = policyText(trust);
    if (policySize(text) > this.quotas.trustSize)
      throw limit(`Cannot exceed quota for ACLSizePerRole: ${this.quotas.trustSize}`);
    return readDocument(text, 'trust');
  }

  #identity(kind: 'user' | 'role', name: string, options: IdentityOptions): Omit<User, 'kind'> {
    const path = checkPath(options.path ?? '/');
    if (options.boundaryArn !== undefined) this.policy(options.boundaryArn);
    return {
      name,
      path,
      arn: this.arn(kind, path, name),
      id: uniqueId(kind === 'user' ? 'AIDA' : 'AROA'),
      createdAt: this.#now(),
      tags: { ...options.tags },
      inline: new Map(),
      attached: new Set(),
      boundaryArn: options.boundaryArn,
    };
  }

  /** The identity policies that are felt at this moment. */
  felt(identity: User | Role, written: readonly PolicyDocument[]): readonly PolicyDocument[] {
    if (this.propagationSeconds === 0) return written;
    return this.#propagation.felt(identity, written, this.#now().getTime(), this.propagationSeconds * 1000);
  }

  user(name: string): User {
    const user = this.users.get(name);
    if (user === undefined) throw noSuch(`The user with name ${name}`);
    return user;
  }

  role(name: string): Role {
    const role = this.roles.get(name);
    if (role === undefined) throw noSuch(`The role with name ${name}`);
    return role;
  }

  /** @param arn of a managed policy */
  policy(arn: string): ManagedPolicy {
    const policy = this.policies.get(arn);
    if (policy === undefined)
      throw new ApiError('NoSuchEntity', `Policy ${arn} does not exist or is not attachable.`, 404);
    return policy;
  }

  deleteUser(name: string): void {
    const user = this.user(name);
    if (this.credentials.keysOfUser(name).length > 0)
      throw conflict('Cannot delete entity, must delete access keys first.');
    mustBeBare(user);
    this.users.delete(name);
  }

  deleteRole(name: string): void {
    const role = this.modifiableRole(name);
    mustBeBare(role);
    this.roles.delete(name);
  }

  /** @throws ApiError UnmodifiableEntity for the roles that IAM Identity Center owns */
  modifiableRole(name: string): Role {
    const role = this.role(name);
    if (role.path.startsWith('/aws-reserved/') || role.path.startsWith('/aws-service-role/'))
      throw new ApiError(
        'UnmodifiableEntity',
        `Cannot perform the operation on the protected role '${name}' - this role is only modifiable by AWS`,
      );
    return role;
  }

  /** @param chosen a key pair that must be known beforehand */
  createAccessKey(userName: string, chosen?: { accessKeyId: string; secretAccessKey: string }): UserKey {
    this.user(userName);
    if (this.credentials.keysOfUser(userName).length >= this.quotas.keysPerUser)
      throw limit(`Cannot exceed quota for AccessKeysPerUser: ${this.quotas.keysPerUser}`);
    return this.credentials.createUserKey(userName, this.#now(), chosen);
  }

  putInline(identity: User | Role, policyName: string, policy: PolicyInput): void {
    checkName(policyName, 'policyName', 128);
    const document = readDocument(policyText(policy), 'identity');
    const others = [...identity.inline].filter(([name]) => name !== policyName);
    const size = others.reduce((sum, [, other]) => sum + policySize(other.text), policySize(document.text));
    const quota = identity.kind === 'user' ? this.quotas.userInlineSize : this.quotas.roleInlineSize;
    if (size > quota)
      throw limit(`Maximum policy size of ${quota} bytes exceeded for ${identity.kind} ${identity.name}`);
    identity.inline.set(policyName, document);
  }

  createPolicy(name: string, policy: PolicyInput, options: Omit<RoleOptions, 'boundaryArn'> = {}): ManagedPolicy {
    checkName(name, 'policyName', 128);
    const path = checkPath(options.path ?? '/');
    const arn = this.arn('policy', path, name);
    if ([...this.policies.values()].some((other) => other.name.toLowerCase() === name.toLowerCase()))
      throw exists(`A policy called ${name}`);
    if (this.policies.size >= this.quotas.policies)
      throw limit(`Cannot exceed quota for PoliciesPerAccount: ${this.quotas.policies}`);
    const now = this.#now();
    const first = this.#version(policy, 1, now);
    const created: ManagedPolicy = {
      name,
      path,
      arn,
      id: uniqueId('ANPA'),
      description: options.description,
      tags: { ...options.tags },
      versions: new Map([[first.id, first]]),
      defaultVersionId: first.id,
      versionsMade: 1,
      createdAt: now,
      updatedAt: now,
    };
    this.policies.set(arn, created);
    return created;
  }

  createVersion(arn: string, policy: PolicyInput, setAsDefault: boolean): PolicyVersion {
    const managed = this.policy(arn);
    if (managed.versions.size >= this.quotas.versionsPerPolicy)
      throw limit(
        `A managed policy can have up to ${this.quotas.versionsPerPolicy} versions. Before you create a new version, you must delete an existing version.`,
      );
    const version = this.#version(policy, managed.versionsMade + 1, this.#now());
    managed.versionsMade++;
    managed.versions.set(version.id, version);
    if (setAsDefault) managed.defaultVersionId = version.id;
    managed.updatedAt = version.createdAt;
    return version;
  }

  #version(policy: PolicyInput, number: number, createdAt: Date): PolicyVersion {
    const document = readDocument(policyText(policy), 'identity');
    if (policySize(document.text) > this.quotas.managedSize)
      throw limit(`Cannot exceed quota for PolicySize: ${this.quotas.managedSize}`);
    return { ...document, id: `v${number}`, createdAt };
  }

  attach(identity: User | Role, policyArn: string): void {
    this.policy(policyArn);
    const quota = identity.kind === 'user' ? this.quotas.attachedPerUser : this.quotas.attachedPerRole;
    if (!identity.attached.has(policyArn) && identity.attached.size >= quota)
      throw limit(`Cannot exceed quota for PoliciesPer${identity.kind === 'user' ? 'User' : 'Role'}: ${quota}`);
    identity.attached.add(policyArn);
  }

  /** How many users and roles the policy is attached to. */
  attachmentCount(policyArn: string): number {
    return [...this.users.values(), ...this.roles.values()].filter((identity) => identity.attached.has(policyArn))
      .length;
  }
}
