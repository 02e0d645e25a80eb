import { ConnectionFlag, LoginKind } from './connections.contract.js';
import type { Match } from './match.js';

/** What is known of a session when it is judged. */
export interface Judged {
  login: string;
  loginKind: LoginKind;
  clientAddress: string | null;
  tls: boolean | null;
  tlsVersion: string | null;
  /** Whether the login is in `rds_iam`; null when that is not known. */
  iam: boolean | null;
  /** As the server's log names it; null where no log was read. */
  authMethod: string | null;
  /** Addresses from which this person came before; none for somebody who never came. */
  knownAddresses: ReadonlySet<string>;
}

/** Methods of pg_hba.conf (PostgreSQL manual, 20.1) by which somebody shows a password that the server itself knows. */
export const byPassword: ReadonlySet<string> = new Set(['password', 'md5', 'scram-sha-256']);
const OLD_TLS = new Set(['SSLv3', 'TLSv1', 'TLSv1.0', 'TLSv1.1']);

/** What about a session should be looked at. What cannot be seen raises nothing: see the gaps of an answer. */
export function flagsOf(session: Judged, { grant, mint }: Match): ConnectionFlag[] {
  const person = session.loginKind === LoginKind.person;
  const raised: [ConnectionFlag, boolean][] = [
    [ConnectionFlag.no_grant, person && grant === undefined],
    [ConnectionFlag.no_mint, grant?.method === 'iam' && grant.mode === 'session' && mint === undefined],
    [ConnectionFlag.password_for_token, usedPassword(session, grant?.method)],
    // without an address it came through a socket of the server itself
    [ConnectionFlag.no_tls, session.tls === false && session.clientAddress !== null],
    [ConnectionFlag.old_tls, session.tls === true && OLD_TLS.has(session.tlsVersion ?? '')],
    [ConnectionFlag.unknown_login, session.loginKind === LoginKind.unknown],
    [ConnectionFlag.administrator, session.loginKind === LoginKind.administrator],
    [ConnectionFlag.new_address, person && isNew(session)],
  ];
  return raised.flatMap(([flag, is]) => (is ? [flag] : []));
}

/** A grant for tokens, or a login that must come by token: rds_iam shuts passwords out, so that either is a sign of tampering. */
function usedPassword({ authMethod, iam }: Judged, method: 'iam' | 'password' | undefined): boolean {
  if (authMethod !== null) return byPassword.has(authMethod) && (method === 'iam' || iam === true);
  return method === 'iam' && iam === false;
}

const isNew = ({ clientAddress, knownAddresses }: Judged): boolean =>
  clientAddress !== null && knownAddresses.size > 0 && !knownAddresses.has(clientAddress);

/** What says that somebody came past the broker, not merely in a way that should be better. */
export const aroundTheBroker: readonly ConnectionFlag[] = [
  ConnectionFlag.no_grant,
  ConnectionFlag.no_mint,
  ConnectionFlag.password_for_token,
  ConnectionFlag.unknown_login,
  ConnectionFlag.administrator,
  ConnectionFlag.outlived,
];
