import { once } from 'node:events';
import { connect, isIP, type Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls, type PeerCertificate, type TLSSocket } from 'node:tls';
import { fault, ok, unknown, type Hop } from './diagnosis-hop.js';

/** An endpoint as it is registered: no caller names a host that is dialled. */
export interface TlsPlace {
  readonly host: string;
  readonly port: number;
  /** The name that the certificate must carry; null where it cannot (verify-ca). */
  readonly servername: string | null;
  /** PEM of the roots, and nothing else is trusted. */
  readonly ca: string;
  readonly authority: 'rds' | 'amazon-trust';
}

/** Of the whole look. */
const PATIENCE_MS = 5_000;
const SOON_MS = 30 * 86_400_000;
/** SSLRequest of the protocol (PostgreSQL manual, "Message Formats"). */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** Reaches an endpoint as any client does, asks for TLS, checks chain and name, and leaves: nobody is named, nothing is sent. */
export async function lookAtTls(place: TlsPlace, now: Date, patienceMs = PATIENCE_MS): Promise<Hop[]> {
  const signal = AbortSignal.timeout(patienceMs);
  const socket = connect({ host: place.host, port: place.port });
  socket.on('error', () => undefined); // each wait below hears it too; this is for one that comes later
  try {
    try {
      await once(socket, 'connect', { signal });
    } catch (error) {
      return [networkFault(place, error)];
    }
    const reached = ok('network', `${place.host}:${place.port} answers Usher.`);
    return [reached, await secured(socket, place, { now, signal })];
  } finally {
    socket.destroy();
  }
}

async function secured(
  socket: Socket,
  place: TlsPlace,
  { now, signal }: { now: Date; signal: AbortSignal },
): Promise<Hop> {
  try {
    socket.write(SSL_REQUEST);
    const [answer] = (await once(socket, 'data', { signal })) as [Buffer];
    if (answer[0] !== 0x53)
      return fault(
        'tls',
        `${place.host}:${place.port} takes no TLS: it is no endpoint of RDS.`,
        'An administrator corrects host and port of the endpoint.',
      );
    const { servername } = place;
    const secure = connectTls({
      socket,
      ca: place.ca,
      minVersion: 'TLSv1.2',
      checkServerIdentity: (_name, certificate) =>
        servername === null ? undefined : checkServerIdentity(servername, certificate),
      ...(servername !== null && isIP(servername) === 0 && { servername }),
    });
    await once(secure, 'secureConnect', { signal });
    return certificateHop(secure, now);
  } catch (error) {
    return tlsFault(place, error);
  }
}

function certificateHop(secure: TLSSocket, now: Date): Hop {
  const certificate: PeerCertificate = secure.getPeerCertificate();
  const ends = new Date(certificate.valid_to);
  const protocol = secure.getProtocol() ?? 'TLS';
  secure.destroy();
  if (ends.getTime() - now.getTime() > SOON_MS)
    return ok('tls', `${protocol}, chain and name are verified; the certificate is good until ${ends.toISOString()}.`);
  return unknown(
    'tls',
    `The certificate of the server ends at ${ends.toISOString()}.`,
    'aws rds modify-db-instance --ca-certificate-identifier rds-ca-rsa2048-g1, unless RDS rotates it by itself.',
  );
}

const codeOf = (error: unknown): string => {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: { name?: unknown } };
  return cause?.name === 'TimeoutError' ? 'ETIMEDOUT' : typeof code === 'string' ? code : 'UNKNOWN';
};

function networkFault({ host, port }: TlsPlace, error: unknown): Hop {
  const code = codeOf(error);
  const named = code === 'ENOTFOUND' || code === 'EAI_AGAIN';
  return fault(
    'network',
    named ? `${host} cannot be resolved from Usher (${code}).` : `${host}:${port} does not answer Usher (${code}).`,
    named
      ? 'Check the registered host, and that its DNS zone is seen from here.'
      : 'Check that the instance is available (aws rds describe-db-instances), its security group, and the registered port.',
  );
}

const NAME_WRONG = 'ERR_TLS_CERT_ALTNAME_INVALID';

function tlsFault({ host, port, servername, authority }: TlsPlace, error: unknown): Hop {
  const code = codeOf(error);
  if (code === NAME_WRONG)
    return fault(
      'tls',
      `The certificate at ${host}:${port} does not carry ${servername ?? host}.`,
      'An administrator sets tokenHost of the endpoint to the name that RDS gave it; a custom endpoint needs its writer beside it.',
    );
  if (code === 'CERT_HAS_EXPIRED')
    return fault(
      'tls',
      `A certificate at ${host}:${port} is over.`,
      'aws rds modify-db-instance --ca-certificate-identifier rds-ca-rsa2048-g1 --apply-immediately',
    );
  if (/CERT|ISSUER|SIGNATURE/.test(code))
    return fault(
      'tls',
      `The certificate at ${host}:${port} does not come from the authority of ${authority === 'rds' ? 'RDS in its region' : 'RDS Proxy, Amazon Trust'} (${code}).`,
      'Check that the endpoint is registered with its right kind: a proxy has roots of Amazon Trust, all others the bundle of the region.',
    );
  return unknown('tls', `TLS with ${host}:${port} could not be made (${code}).`, 'Try again in a moment.');
}
