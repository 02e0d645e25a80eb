import type { Person } from '../generated/prisma/client.js';
import type { PersonActor, PersonId } from '../platform/actor.js';
import type { VerifiedPerson } from './identity.contract.js';

/** A person who calls, or is called for, as the provider described them last. */
export const personActor = (
  person: Person,
  { address, correlationId }: Pick<PersonActor, 'address' | 'correlationId'>,
): PersonActor => ({
  kind: 'person',
  id: person.id as PersonId,
  name: person.name,
  issuer: person.issuer,
  subject: person.subject,
  groups: person.groups,
  locked: person.locked,
  authenticatedAt: undefined,
  address,
  correlationId,
});

/** What a token says beyond that, or more lately. */
export const provedBy = ({
  name,
  groups,
  authenticatedAt,
  acr,
  amr,
}: VerifiedPerson): Pick<PersonActor, 'name' | 'groups' | 'authenticatedAt' | 'acr' | 'amr'> => ({
  name,
  groups,
  authenticatedAt,
  ...(acr !== undefined && { acr }),
  ...(amr !== undefined && { amr }),
});
