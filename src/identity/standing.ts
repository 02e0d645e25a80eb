import type { Person } from '../generated/prisma/client.js';
import { concerning } from '../platform/call.js';
import { DomainError } from '../platform/errors.js';

/** Whether a person may have access at all. */
export type Standing = Pick<Person, 'id' | 'name' | 'locked' | 'removedAt'>;

/**
 * Which human a row of ours stands for: the verified e-mail in whatever case, else the row itself. One provider, or two, may
 * name somebody twice; they are one all the same where it counts who agreed.
 */
export function humanOf({ id, email }: Pick<Person, 'id' | 'email'>): string {
  const folded = email?.trim().toLowerCase() ?? '';
  return folded === '' ? id : folded;
}

/** For a call by who has left. */
export function removed(person: Pick<Person, 'id'>): DomainError {
  concerning({ subjectId: person.id });
  return new DomainError(
    'forbidden',
    'person_removed',
    'You were taken off by an administrator, and have no access any more.',
    'Ask an administrator if you should have it again.',
  );
}

/** @throws DomainError `person_removed`, `person_locked` for the first who may have no access any more */
export function refuseAbsent(people: readonly Standing[]): void {
  for (const { name, locked, removedAt } of people) {
    if (removedAt !== null)
      throw new DomainError(
        'conflict',
        'person_removed',
        `${name} was taken off by an administrator.`,
        'An administrator can restore this person.',
      );
    if (locked)
      throw new DomainError(
        'conflict',
        'person_locked',
        `${name} is locked.`,
        'An administrator can unlock this person.',
      );
  }
}
