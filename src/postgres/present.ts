import type {
  GuardHello,
  GuardProfile,
  InspectedLogin,
  LeaseState,
  LoginMethod,
  Sighting,
  Survey,
  TargetBackend,
} from './target-session.js';

/** What the guard's functions answer as jsonb. Instants are ISO text, or `infinity`. */
export interface LeaseRow {
  login?: string;
  live: number;
  ends_at?: string | null;
  leftover?: string[];
  created?: boolean;
  known?: boolean;
  locked?: boolean;
}
export interface BackendRow {
  pid: number;
  login: string;
  db: string | null;
  addr: string | null;
  port: number | null;
  tls: boolean | null;
  tls_version: string | null;
  tls_cipher: string | null;
  app: string | null;
  backend_start: string | null;
  state: string | null;
}
export interface SightingRow {
  clock: string;
  server_started: string;
  sessions: (BackendRow & {
    managed: boolean;
    iam: boolean | null;
    administrator: boolean | null;
    replication: boolean;
  })[];
}
export interface ProfileRow {
  name: string;
  groups: string[];
  max_minutes: number;
  connection_limit: number;
  methods: LoginMethod[];
  enabled: boolean;
  manages_passwords: boolean;
  creates_roles: boolean;
}
export interface HelloRow {
  server_version: number;
  guard_version: string;
  paused: boolean;
  in_recovery: boolean;
  swept_at: string | null;
  swept_by: string | null;
  problems: { code: string; message: string }[];
}
export interface InspectRow {
  login: string;
  exists_: boolean;
  can_login: boolean;
  connection_limit: number | null;
  valid_until: string | null;
  attributes: string[];
  retired_at: string | null;
  memberships: { role: string; grantor: string; admin: boolean; inherit: boolean | null; set: boolean | null }[];
  members: string[];
  leases: {
    grant_id: string;
    profile: string;
    groups: string[];
    connection_limit: number;
    method: LoginMethod;
    opened_at: string;
    ends_at: string;
  }[];
  backends: BackendRow[];
  prepared: number;
  person: string | null;
  owned_objects: number;
  direct_grants: number;
}
export interface SurveyRow {
  logins: InspectRow[];
  foreign: string[];
  iam_groups: string[];
}

/** -infinity is older than every instant there is: as the earliest one that a Date can hold. */
const instant = (text: string | null | undefined): Date | null => {
  if (text === null || text === undefined || text === 'infinity') return null;
  return text === '-infinity' ? new Date(-8.64e15) : new Date(text);
};

export const presentLease = (login: string, row: LeaseRow): LeaseState => ({
  login: row.login ?? login,
  live: row.live,
  endsAt: instant(row.ends_at),
  leftover: row.leftover ?? [],
});

export const presentBackend = (row: BackendRow): TargetBackend => ({
  pid: row.pid,
  login: row.login,
  database: row.db,
  clientAddress: row.addr,
  // -1 is PostgreSQL's word for a Unix socket
  clientPort: row.port === -1 ? null : row.port,
  tls: row.tls,
  tlsVersion: row.tls_version,
  tlsCipher: row.tls_cipher,
  applicationName: row.app ?? '',
  backendStart: instant(row.backend_start),
  state: row.state,
});

export const presentSighting = (row: SightingRow): Sighting => ({
  clock: new Date(row.clock),
  serverStartedAt: new Date(row.server_started),
  sessions: row.sessions.map((session) => ({
    ...presentBackend(session),
    managed: session.managed,
    iam: session.iam,
    administrator: session.administrator,
    replication: session.replication,
  })),
});

export const presentProfile = (row: ProfileRow): GuardProfile => ({
  name: row.name,
  groups: row.groups,
  maxMinutes: row.max_minutes,
  connectionLimit: row.connection_limit,
  methods: row.methods,
  enabled: row.enabled,
  managesPasswords: row.manages_passwords,
  createsRoles: row.creates_roles,
});

export const presentHello = (row: HelloRow): GuardHello => ({
  serverVersion: row.server_version,
  guardVersion: row.guard_version,
  paused: row.paused,
  inRecovery: row.in_recovery,
  sweptAt: instant(row.swept_at),
  sweptBy: row.swept_by,
  problems: row.problems.map(({ code, message }) => ({ code, message })),
});

export const presentLogin = (row: InspectRow): InspectedLogin => ({
  login: row.login,
  exists: row.exists_,
  canLogin: row.can_login,
  connectionLimit: row.connection_limit,
  validUntil: instant(row.valid_until),
  attributes: row.attributes,
  retiredAt: instant(row.retired_at),
  memberships: row.memberships.map(({ role, grantor, admin, inherit, set }) => ({
    role,
    grantor,
    admin,
    inherit,
    set,
  })),
  members: row.members,
  leases: row.leases.map((lease) => ({
    grantId: lease.grant_id,
    profile: lease.profile,
    groups: lease.groups,
    connectionLimit: lease.connection_limit,
    method: lease.method,
    openedAt: new Date(lease.opened_at),
    endsAt: new Date(lease.ends_at),
  })),
  backends: row.backends.map(presentBackend),
  preparedTransactions: row.prepared,
  person: row.person,
  ownedObjects: row.owned_objects,
  directGrants: row.direct_grants,
});

export const presentSurvey = (row: SurveyRow): Survey => ({
  logins: row.logins.map(presentLogin),
  foreign: row.foreign,
  iamGroups: row.iam_groups,
});
