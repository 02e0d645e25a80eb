import { DomainError } from '../platform/errors.js';
import { writable } from '../targets/target.js';
import type { Way } from './way-in.js';

/** The name and port that a token is made for: it opens nothing else, wherever the client connects. */
export interface SigningHost {
  readonly host: string;
  readonly port: number;
}

interface Place {
  readonly resourceId: string;
  readonly partition: string;
  readonly endpoints: readonly Way[];
}

/**
 * Where the names of RDS end, by partition. China has the service before the region:
 * `mydb.abc.rds.cn-north-1.amazonaws.com.cn`. Partitions that are not here are taken at their word.
 */
const names: Readonly<Record<string, RegExp>> = {
  aws: /\.rds\.amazonaws\.com$/i,
  'aws-us-gov': /\.rds\.amazonaws\.com$/i,
  'aws-cn': /\.rds\.[a-z0-9-]+\.amazonaws\.com\.cn$/i,
};
const CUSTOM = /\.cluster-custom-[a-z0-9]+\./i;

/**
 * The name to sign for. RDS compares the token with the endpoint's own name, so an alias, the near end of a tunnel and a
 * custom endpoint cannot be signed for (Aurora User Guide, "Connecting to your DB cluster using IAM authentication"): the
 * endpoint's token host is, and for a custom endpoint that of the writer of the same cluster.
 * @param standIn AWS is a stand-in on this machine, whose databases are at `localhost`
 * @throws DomainError `host_not_signable`
 */
export function signingHost(place: Place, endpoint: Way, standIn: boolean): SigningHost {
  if (place.resourceId.startsWith('prx-') && endpoint.kind !== 'proxy') throw behindProxy(endpoint);
  const source = endpoint.kind === 'custom' ? (writable(place.endpoints) ?? endpoint) : endpoint;
  const { tokenHost: host, port } = source;
  if (standIn && host === 'localhost') return { host, port };
  const ending = names[place.partition];
  if (CUSTOM.test(host) || (ending !== undefined && !ending.test(host))) throw notSignable(host, endpoint);
  return { host, port };
}

const notSignable = (host: string, { kind }: Way): DomainError =>
  new DomainError(
    'conflict',
    'host_not_signable',
    `No token can be signed for ${host}: it is ${CUSTOM.test(host) ? 'a custom endpoint' : 'no name of RDS'}.`,
    kind === 'custom'
      ? "An administrator can register the cluster's writer endpoint beside it: tokens are signed for that."
      : 'An administrator can set tokenHost of this endpoint to the name that RDS gave it, and leave connectHost as it is.',
  );

/** The right to connect names the proxy's own resource id, so that the database behind it would refuse the token. */
const behindProxy = ({ kind }: Way): DomainError =>
  new DomainError(
    'conflict',
    'host_not_signable',
    `A token for this target opens the proxy alone, not its endpoint of kind ${kind}.`,
    'Leave endpoint out, or name the proxy; for the database itself ask for access to its own target.',
  );
