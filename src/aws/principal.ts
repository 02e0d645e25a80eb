import { DomainError } from '../platform/errors.js';

/** An IAM user or role that a policy can be put on. */
export interface Principal {
  readonly arn: string;
  readonly kind: 'user' | 'role';
  readonly partition: string;
  readonly accountId: string;
  /** Without the path, as IAM's calls take it. */
  readonly name: string;
}

const PRINCIPAL =
  /^arn:(?<partition>aws(?:-[a-z]+)*):iam::(?<accountId>[0-9]{12}):(?<kind>user|role)\/(?<path>(?:[\x21-\x2e\x30-\x7e]+\/)*)(?<name>[\w+=,.@-]{1,64})$/;

/**
 * @throws DomainError invalid/`invalid_input` for anything but a user or role; invalid/`mode_not_supported` for roles that
 *   only an AWS service may change
 */
export const parsePrincipal = (arn: string): Principal => {
  const parts = arn.length > 700 ? undefined : PRINCIPAL.exec(arn)?.groups;
  const { partition, accountId, kind, path, name } = parts ?? {};
  if (!partition || !accountId || !name || path === undefined || (kind !== 'user' && kind !== 'role')) {
    throw new DomainError(
      'invalid',
      'invalid_input',
      'This is not the ARN of an IAM user or role.',
      'Give arn:aws:iam::<account>:user/<name> or …:role/<name>, not the assumed-role ARN of a session.',
    );
  }
  if (kind === 'role') refuseProtected(path, name);
  return { arn, kind, partition, accountId, name };
};

/** The region IAM, a global service, signs for in each partition (AWS general reference, IAM endpoints). */
export const iamRegion = (partition: string): string => {
  const region = IAM_REGIONS[partition];
  if (region !== undefined) return region;
  throw new DomainError(
    'invalid',
    'unknown_partition',
    `IAM's region in ${partition} is not known.`,
    'Ask for session mode.',
  );
};

const IAM_REGIONS: Readonly<Record<string, string>> = {
  aws: 'us-east-1',
  'aws-cn': 'cn-north-1',
  'aws-us-gov': 'us-gov-west-1',
};

const refuseProtected = (path: string, name: string): void => {
  if (name.startsWith('AWSReservedSSO_') || path.startsWith('aws-reserved/')) {
    throw new DomainError(
      'invalid',
      'mode_not_supported',
      `${name} belongs to IAM Identity Center; only that service can change it.`,
      'Ask for session mode, or have the permission set reference a customer-managed policy, or name a role of your own that the permission set may assume.',
    );
  }
  if (name.startsWith('AWSServiceRoleFor') || path.startsWith('aws-service-role/')) {
    throw new DomainError(
      'invalid',
      'mode_not_supported',
      `${name} is a service-linked role; only its service can change it.`,
      'Ask for session mode, or name an IAM user or role of your own.',
    );
  }
};
