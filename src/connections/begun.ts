import { v7 } from 'uuid';
import type { SeenSession } from '../postgres/postgres.contract.js';
import { ConnectionGrade, LoginKind, type ConnectionFlag } from './connections.contract.js';
import type { Evidence } from './evidence.queries.js';
import { flagsOf } from './flags.js';
import { match, type SeenAt } from './match.js';
import { startedAt } from './sightings.js';

/** A session that is seen for the first time, as it is kept. */
export interface Begun {
  id: string;
  pid: number;
  backendStart: Date;
  login: string;
  loginKind: LoginKind;
  database: string | null;
  clientAddress: string | null;
  clientPort: number | null;
  tls: boolean | null;
  tlsVersion: string | null;
  tlsCipher: string | null;
  applicationName: string | null;
  personId: string | null;
  grantId: string | null;
  mintId: string | null;
  grade: ConnectionGrade;
  /** As the server's log names it. */
  authMethod: string | null;
  /** When the log has it let in. */
  loggedAt: Date | null;
  /** Whether a look showed it; false where only the log tells of it. */
  observed: boolean;
  startedAt: Date;
  /** The look that showed it; the login, where only the log tells of it. */
  seenAt: Date;
  flags: ConnectionFlag[];
}

/** What the log of the server tells of a session. */
export interface Logged {
  /** By the broker's clock. */
  at: Date;
  method: string | null;
}

/** Where and when sessions were seen. */
export interface Place extends SeenAt {
  masterUser: string | null;
  clockAheadMs: number;
  lookedAt: Date;
}

/**
 * Ties a session to its person, grant and token, and says what about it should be looked at. Pure but for the new id.
 * @param logged where no look showed it, and only the log tells of it
 */
export function begun(session: SeenSession, place: Place, evidence: Evidence, logged?: Logged): Begun {
  const { pid, login, database, clientAddress, clientPort, tls, tlsVersion, tlsCipher, applicationName, iam } = session;
  const seenAt = logged?.at ?? place.lookedAt;
  const began = startedAt(session.backendStart, place.clockAheadMs, seenAt);
  const personId = evidence.owners.get(login) ?? null;
  const loginKind = kindOf(session, personId, place.masterUser);
  const isPersons = loginKind === LoginKind.person;
  const asked = { login, startedAt: session.backendStart && began, applicationName };
  const found = match(asked, isPersons ? evidence.grants : [], evidence.mints, place);
  const knownAddresses = evidence.addresses.get(personId ?? '') ?? new Set<string>();
  const authMethod = logged?.method ?? null;
  const judged = { login, loginKind, clientAddress, tls, tlsVersion, iam, authMethod, knownAddresses };
  return {
    ...{ id: v7(), pid, backendStart: session.backendStart ?? new Date(0), login, loginKind, database, clientAddress },
    ...{ clientPort, tls, tlsVersion, tlsCipher, applicationName, authMethod, loggedAt: logged?.at ?? null },
    ...{ observed: logged === undefined, startedAt: began, seenAt },
    personId: isPersons ? personId : null,
    grantId: found.grant?.id ?? null,
    mintId: found.mint?.id ?? null,
    grade: gradeOf(found.certain, logged),
    flags: flagsOf(judged, found),
  };
}

const gradeOf = (certain: boolean, logged: Logged | undefined): ConnectionGrade => {
  if (!certain) return ConnectionGrade.inferred;
  return logged === undefined ? ConnectionGrade.observed : ConnectionGrade.logged;
};

/** The master first: should anybody ever be given that name, it is the master who comes by it. */
function kindOf(session: SeenSession, personId: string | null, masterUser: string | null): LoginKind {
  if (session.login === masterUser) return LoginKind.administrator;
  if (personId !== null) return LoginKind.person;
  return session.administrator === true || session.replication ? LoginKind.administrator : LoginKind.unknown;
}
