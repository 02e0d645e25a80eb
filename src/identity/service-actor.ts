import type { Service } from '../generated/prisma/client.js';
import type { ServiceActor, ServiceId } from '../platform/actor.js';
import { DomainError } from '../platform/errors.js';

/** A service that calls. @param scopes of what it came with */
export const serviceActor = (
  { id, name, groups, locked, actsForAnybody, actsFor }: Service,
  scopes: readonly string[],
  { address, correlationId }: Pick<ServiceActor, 'address' | 'correlationId'>,
): ServiceActor => ({
  ...{ kind: 'service', id: id as ServiceId, name, scopes, groups, locked, actsForAnybody, actsFor },
  ...{ address, correlationId },
});

export const lockedOut = (name: string): DomainError =>
  new DomainError(
    'forbidden',
    'service_locked',
    `The service ${name} is locked: it may do nothing, and nothing may be done through it.`,
    'Ask an administrator to unlock it.',
  );
