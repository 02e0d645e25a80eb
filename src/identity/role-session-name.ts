import { createHash } from 'node:crypto';
import type { VerifiedPerson } from './identity.contract.js';

const maxLength = 64;
const hashLength = 12;

/**
 * `RoleSessionName` and `SourceIdentity` of a person: what CloudTrail shows. AWS takes `[\w+=,.@-]{2,64}` (STS AssumeRole).
 * The readable name is for people and may be cut; the 48 bits of SHA-256 over issuer and subject tell two people apart.
 */
export function roleSessionName({
  issuer,
  subject,
  name,
}: Pick<VerifiedPerson, 'issuer' | 'subject' | 'name'>): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([issuer, subject]))
    .digest('hex')
    .slice(0, hashLength);
  const readable = name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[^A-Za-z0-9_+=,.@-]+/g, '-')
    .slice(0, maxLength - hashLength - 1);
  return `${readable}-${hash}`;
}
