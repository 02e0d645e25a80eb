import type { ErrorCode, ErrorKind } from '../platform/errors.js';

/** What to tell, and whether trying again is worth it. */
export interface Advice {
  kind: ErrorKind;
  code: ErrorCode;
  message: string;
  advice: string;
  /** The same call may succeed a little later with nobody doing anything. */
  transient?: true;
}

export const unreachable = (message: string, advice: string): Advice => ({
  kind: 'unavailable',
  code: 'target_unreachable',
  message,
  advice,
  transient: true,
});
export const untrusted = (message: string, advice: string): Advice => ({
  kind: 'unavailable',
  code: 'target_untrusted',
  message,
  advice,
});
export const notReady = (message: string, advice: string): Advice => ({
  kind: 'unavailable',
  code: 'target_not_ready',
  message,
  advice,
});
export const refused = (message: string, advice: string): Advice => ({
  kind: 'unavailable',
  code: 'target_refused',
  message,
  advice,
});
export const busy = (message: string, advice: string): Advice => ({ ...refused(message, advice), transient: true });

const install =
  'The DBA runs the output of `npm run usher -- target-sql` on the writer, in the database registered here.';
const upgrade = 'The guard is older than this Usher: the DBA runs the output of `npm run usher -- target-sql` again.';
export const network =
  'Check host and port, that the instance is available, and its security group and routes from here.';
export const bundle =
  'Register the CA bundle of the region (GET /v1/trust/bundles), or the certificate authority the instance uses.';
const signIn =
  "Check the broker's user name, that `SELECT usher.broker_auth('iam')` was run, that IAM database authentication is on, and that the service's IAM role allows rds-db:connect for usher_broker.";

const faultTable: Record<string, Advice> = {
  // the network
  ECONNREFUSED: unreachable('Nothing listens at the address of the target.', network),
  ECONNRESET: unreachable('The connection to the target was cut.', network),
  EPIPE: unreachable('The connection to the target was cut.', network),
  ETIMEDOUT: unreachable('The target did not answer in time.', network),
  EHOSTUNREACH: unreachable('There is no route to the target.', network),
  ENETUNREACH: unreachable('There is no route to the target.', network),
  ENOTFOUND: unreachable(
    'The host name of the target does not exist.',
    'Check the registered host, and that its DNS zone is seen from here.',
  ),
  EAI_AGAIN: unreachable(
    'The host name of the target could not be resolved just now.',
    'Check the DNS resolver of this machine.',
  ),
  CONNECT_TIMEOUT: unreachable('The target did not answer in time.', network),
  CONNECTION_LOST: unreachable('The connection to the target was cut.', network),
  // trust
  NO_CA: untrusted('There is no certificate authority to verify the target with.', bundle),
  NO_TLS: untrusted(
    'The target refuses TLS.',
    'Usher never connects without TLS: turn SSL on (rds.force_ssl = 1), or check that this is the right port.',
  ),
  SELF_SIGNED_CERT_IN_CHAIN: untrusted(
    'The certificate of the target comes from an authority that is not trusted for it.',
    bundle,
  ),
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted('The target shows a self-signed certificate.', bundle),
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted(
    'The certificate of the target comes from an authority that is not trusted for it.',
    bundle,
  ),
  UNABLE_TO_GET_ISSUER_CERT: untrusted(
    'The certificate of the target comes from an authority that is not trusted for it.',
    bundle,
  ),
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted(
    'The certificate of the target comes from an authority that is not trusted for it.',
    bundle,
  ),
  CERT_SIGNATURE_FAILURE: untrusted(
    'The certificate of the target comes from an authority that is not trusted for it.',
    bundle,
  ),
  ERR_TLS_CERT_ALTNAME_INVALID: untrusted(
    'The certificate of the target is for another host name.',
    'Register the name that the certificate carries as servername: for an Aurora custom endpoint, a CNAME or a tunnel, the writer endpoint.',
  ),
  CERT_HAS_EXPIRED: untrusted(
    'The certificate of the target has expired.',
    "Rotate the instance's certificate authority (modify-db-instance --ca-certificate-identifier).",
  ),
  CERT_NOT_YET_VALID: untrusted('The certificate of the target is not valid yet.', 'Check the clock of this machine.'),
  ERR_SSL_UNSUPPORTED_PROTOCOL: untrusted(
    'The target offers no TLS 1.2 or newer.',
    'Raise ssl_min_protocol_version in the parameter group.',
  ),
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: untrusted(
    'The target offers no TLS 1.2 or newer.',
    'Raise ssl_min_protocol_version in the parameter group.',
  ),
  // PostgreSQL
  '28000': refused('The target refused the login of the broker.', signIn),
  '28P01': refused('The target refused the login of the broker.', signIn),
  '3D000': notReady(
    'The registered database does not exist on the target.',
    'Correct the database of the target, and install the guard there.',
  ),
  '3F000': notReady('The usher guard is not installed in this database.', install),
  '42883': notReady('The guard of the target lacks a function.', upgrade),
  '42P01': notReady('The guard of the target lacks a table.', upgrade),
  '42501': refused(
    'The target denies the broker a right it needs.',
    'The DBA runs `npm run usher -- target-sql` again (it repairs rights) and usher.allow() for the profile.',
  ),
  '2BP01': refused(
    'Objects on the target depend on the login role.',
    'The DBA runs usher.retire(login), which parks them.',
  ),
  '25006': {
    ...notReady(
      'The target is read-only: this is a reader, or a failover is under way.',
      'Register the writer endpoint as the one the broker uses.',
    ),
    transient: true,
  },
  '42704': refused(
    'The target does not know this login or lease.',
    'Nothing is to be undone there; if a DBA dropped the role, open a new grant.',
  ),
  '53300': busy(
    'The target has no connection left.',
    'It is tried again; if it lasts, raise max_connections, the limit of the database, or that of usher_broker (20).',
  ),
  '53200': busy(
    'The target has no shared memory left, most likely because a session filled its lock table.',
    'It is tried again; if it lasts, restart the instance, and look in pg_locks for who takes locks by the thousand.',
  ),
  '55P03': busy(
    'The target is busy: a lock was not given in time.',
    'It is tried again; if it lasts, look for a long transaction that holds a role or usher.mutex.',
  ),
  '57014': busy(
    'The target did not finish in time.',
    'It is tried again; if it lasts, look at the load of the target.',
  ),
  '57P01': unreachable(
    'The target ended the session of the broker.',
    'It is tried again: a restart, a failover or the sweep.',
  ),
  '57P02': unreachable('The target crashed and recovers.', 'It is tried again.'),
  '57P03': unreachable('The target is starting up.', 'It is tried again.'),
  XX000: busy(
    'The target met an internal conflict.',
    'It is tried again; if it lasts, look at the PostgreSQL log of the target.',
  ),
  '40001': busy('Two changes met on the target.', 'It is tried again.'),
  '40P01': busy('Two changes met on the target.', 'It is tried again.'),
  UNKNOWN: refused(
    'The target failed in a way Usher does not know.',
    'Look at the PostgreSQL log of the target at this moment.',
  ),
};

/** By SQLSTATE, Node error code, or one of our own words for a fault that carries no code. */
export const faults: ReadonlyMap<string, Advice> = new Map(Object.entries(faultTable));
