/** IAM's nouns as the stand-in keeps them, its quotas, and the grammar of its names. */
import { ApiError, validationError } from './api.ts';
import { MalformedPolicy, parsePolicy } from './policy-document.ts';
import type { PolicyDocument, PolicyKind } from './policy-document.ts';

/** A document as it was written, and as it is evaluated. */
export interface StoredDocument {
  readonly text: string;
  readonly parsed: PolicyDocument;
}

export interface PolicyVersion extends StoredDocument {
  /** `v1`, `v2`, … never reused. */
  readonly id: string;
  readonly createdAt: Date;
}

export interface ManagedPolicy {
  readonly name: string;
  readonly path: string;
  readonly arn: string;
  readonly id: string;
  readonly description: string | undefined;
  readonly tags: Record<string, string>;
  readonly versions: Map<string, PolicyVersion>;
  defaultVersionId: string;
  /** Versions ever made; the next one's number follows. */
  versionsMade: number;
  readonly createdAt: Date;
  updatedAt: Date;
}

interface Identity {
  readonly name: string;
  readonly path: string;
  readonly arn: string;
  readonly id: string;
  readonly createdAt: Date;
  readonly tags: Record<string, string>;
  readonly inline: Map<string, StoredDocument>;
  /** ARNs of managed policies. */
  readonly attached: Set<string>;
  readonly boundaryArn: string | undefined;
}
export interface User extends Identity {
  readonly kind: 'user';
}
export interface Role extends Identity {
  readonly kind: 'role';
  trust: StoredDocument;
  /** 3,600 to 43,200 */
  readonly maxSessionSeconds: number;
  readonly description: string | undefined;
}

/** Sizes in characters without whitespace. Source: IAM User Guide, "IAM and AWS STS quotas"; the attachments are the lower of the documented defaults. */
export interface IamQuotas {
  userInlineSize: number;
  roleInlineSize: number;
  managedSize: number;
  trustSize: number;
  versionsPerPolicy: number;
  attachedPerUser: number;
  attachedPerRole: number;
  keysPerUser: number;
  users: number;
  roles: number;
  policies: number;
}
export const awsQuotas = (): IamQuotas => ({
  userInlineSize: 2048,
  roleInlineSize: 10_240,
  managedSize: 6144,
  trustSize: 2048,
  versionsPerPolicy: 5,
  attachedPerUser: 10,
  attachedPerRole: 10,
  keysPerUser: 2,
  users: 5000,
  roles: 1000,
  policies: 1500,
});

/** IAM counts a policy without its whitespace. */
export const policySize = (text: string): number => text.replaceAll(/\s/g, '').length;

/** @throws ApiError MalformedPolicyDocument */
export function readDocument(text: string, kind: PolicyKind): StoredDocument {
  try {
    return { text, parsed: parsePolicy(text, kind) };
  } catch (error) {
    if (error instanceof MalformedPolicy) throw new ApiError('MalformedPolicyDocument', error.message);
    throw error;
  }
}

export const noSuch = (what: string): ApiError => new ApiError('NoSuchEntity', `${what} cannot be found.`, 404);
export const exists = (what: string): ApiError => new ApiError('EntityAlreadyExists', `${what} already exists.`, 409);
export const limit = (message: string): ApiError => new ApiError('LimitExceeded', message, 409);
export const conflict = (message: string): ApiError => new ApiError('DeleteConflict', message, 409);

/** @param field as IAM spells it in its message, e.g. `userName` @throws ApiError ValidationError */
export function checkName(name: string, field: string, maxLength: number): string {
  if (!/^[\w+=,.@-]+$/.test(name))
    throw validationError(
      `Value at '${field}' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]+`,
    );
  if (name.length > maxLength)
    throw validationError(
      `Value at '${field}' failed to satisfy constraint: Member must have length less than or equal to ${maxLength}`,
    );
  return name;
}

/** @throws ApiError ValidationError */
export function checkPath(path: string): string {
  if (path.length <= 512 && /^(\/|\/[\x21-\x7e]+\/)$/.test(path)) return path;
  throw new ApiError(
    'ValidationError',
    'The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.',
  );
}

/** Names are unique without case, though looked up with it. */
export const has = (entities: ReadonlyMap<string, unknown>, name: string): boolean =>
  [...entities.keys()].some((other) => other.toLowerCase() === name.toLowerCase());

/** @throws ApiError DeleteConflict */
export function mustBeBare(identity: User | Role): void {
  if (identity.attached.size > 0) throw conflict('Cannot delete entity, must detach all policies first.');
  if (identity.inline.size > 0) throw conflict('Cannot delete entity, must delete policies first.');
}
