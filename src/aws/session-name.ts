import { createHash } from 'node:crypto';

/**
 * A RoleSessionName or SourceIdentity (2..64 of `[\w+=,.@-]`, IAM user guide) for a person. What had to be changed or cut
 * gets a digest of the original, so that two people never share a name in CloudTrail.
 */
export const sessionName = (person: string): string => {
  if (/^[\w+=,.@-]{2,64}$/.test(person)) return person;
  const digest = createHash('sha256').update(person).digest('hex').slice(0, 12);
  const kept = person.replace(/[^\w+=,.@-]+/g, '-').slice(0, 51);
  return `${kept}-${digest}`;
};
