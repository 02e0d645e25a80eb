import type { Service as Row } from '../generated/prisma/client.js';
import { DomainError } from '../platform/errors.js';
import { asId } from '../platform/page.js';
import type { Tx } from '../platform/state/database.js';
import type { Service, ServiceClient, ServiceClientInput } from './services.contract.js';

/** @throws DomainError `invalid_id`, `service_not_found` */
export async function findService(db: Tx, id: string): Promise<Row> {
  const row = await db.service.findUnique({ where: { id: asId(id, 'service id') } });
  if (row) return row;
  throw new DomainError('not_found', 'service_not_found', 'There is no such service.', 'GET /v1/services lists them.');
}

/**
 * Keeps everybody else from the service until the end of the transaction, those too who ask through it.
 * @throws DomainError `invalid_id`, `service_not_found`
 */
export async function lockRow(tx: Tx, id: string): Promise<Row> {
  await tx.$queryRaw`SELECT 1 FROM service WHERE id = ${asId(id, 'service id')}::uuid FOR UPDATE`;
  return findService(tx, id);
}

/** @throws DomainError `service_removed` */
export function refuseRemoved({ name, removedAt }: Row): void {
  if (removedAt === null) return;
  throw new DomainError(
    'conflict',
    'service_removed',
    `The service ${name} was removed.`,
    'Register another, under a name of its own.',
  );
}

const clientOf = ({ clientIssuer: issuer, clientId, clientScopes: scopes }: Row): ServiceClient | null =>
  issuer === null || clientId === null ? null : { issuer, clientId, scopes };

/** The columns that hold the client; undefined leaves them as they are, null takes it away. */
export const clientColumns = (client: ServiceClientInput | null | undefined) =>
  client === undefined
    ? {}
    : {
        clientIssuer: client?.issuer ?? null,
        clientId: client?.clientId ?? null,
        clientScopes: client?.scopes ?? [],
      };

/** What goes out: listed field by field, so that a new column is never shown by accident. */
export const presentService = (row: Row): Service => ({
  id: row.id,
  name: row.name,
  description: row.description,
  groups: row.groups,
  actsFor: row.actsFor,
  actsForAnybody: row.actsForAnybody,
  client: clientOf(row),
  locked: row.locked,
  lockedAt: row.lockedAt,
  lockReason: row.lockReason,
  createdBy: row.createdBy,
  createdAt: row.createdAt,
  updatedAt: row.updatedAt,
  removedAt: row.removedAt,
});
