import type { Person } from '../generated/prisma/client.js';
import { DomainError } from '../platform/errors.js';
import { isId } from '../platform/page.js';
import type { Tx } from '../platform/state/database.js';

/**
 * Whom somebody names: by id, or by e-mail in any case. Only people whom the provider itself has named here, and whom the name
 * leads to alone.
 * @param place where the name stands, for the refusal
 * @throws DomainError `unknown_person`, `ambiguous_person`
 */
export async function namedPerson(db: Tx, named: string, place?: string): Promise<Person> {
  const people = isId(named) ? await db.person.findMany({ where: { id: named } }) : await byEmail(db, named);
  const present = people.filter(({ removedAt }) => removedAt === null);
  const [person, other] = present.length > 0 ? present : people; // an address may be given anew after somebody left
  if (!person) throw unknownPerson(place);
  if (other) throw ambiguousPerson('More than one person has this e-mail address.');
  return person;
}

/** The provider's word counts: an address that it says it did not verify is in no row. */
async function byEmail(db: Tx, email: string): Promise<Person[]> {
  if (!email.includes('@')) return [];
  const rows = await db.$queryRaw<{ id: string }[]>`SELECT id FROM person WHERE lower(email) = lower(${email})`;
  return db.person.findMany({ where: { id: { in: rows.map(({ id }) => id) } } });
}

export const unknownPerson = (place = 'Usher-On-Behalf-Of'): DomainError =>
  new DomainError(
    'forbidden',
    'unknown_person',
    `${place} names nobody whom Usher knows.`,
    'Name a person by id or e-mail address who has called Usher once with a token of the provider.',
  );

export const ambiguousPerson = (message: string): DomainError =>
  new DomainError('forbidden', 'ambiguous_person', message, 'Name the person by id: GET /v1/people lists them.');
