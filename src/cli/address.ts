import type { TargetAddress } from '../postgres/postgres.contract.js';
import { fileOf, needed, portOf, UsageError } from './command.js';

/** How a target is named that Usher has not registered. */
export const addressOptions = {
  host: { type: 'string' },
  port: { type: 'string' },
  database: { type: 'string' },
  ca: { type: 'string' },
  servername: { type: 'string' },
} as const;

export const addressHelp = `  --host <name>        writer endpoint of the target
  --port <number>      default 5432
  --database <name>    where the guard is installed; default postgres
  --ca <file>          PEM of the authorities to trust, e.g. the bundle of the region; nothing else is trusted
  --servername <name>  the name in the certificate, where it is not the host (an alias, a tunnel)`;

type Given = { [K in keyof typeof addressOptions]?: string | undefined };

/** @throws UsageError when host or CA is missing, or cannot be used */
export async function addressOf(given: Given): Promise<TargetAddress> {
  const host = needed(given.host, '--host', 'orders.cluster-abc.eu-west-1.rds.amazonaws.com');
  const ca = await fileOf('--ca', needed(given.ca, '--ca', 'eu-west-1-bundle.pem'));
  if (!ca.includes('-----BEGIN CERTIFICATE-----')) throw new UsageError('--ca is not a PEM file with certificates.');
  return {
    host,
    port: portOf(given.port),
    database: given.database ?? 'postgres',
    servername: given.servername ?? host,
    ca,
  };
}
