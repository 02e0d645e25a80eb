/**
 * What the rest of Usher knows about a target's PostgreSQL: plain types, no type of `pg`.
 * Names of SQL things follow the guard in `sql/`; instants are `Date`, durations carry their unit in the name.
 */

import type { FactsAsked, ServerFacts } from './server-facts.js';

/** How a person proves who they are to PostgreSQL. Never both on one login role: `rds_iam` shuts the password out. */
export type LoginMethod = 'iam' | 'password';

/** Where to connect and what to trust there. TLS is always verified against `ca` and `servername`. */
export interface TargetAddress {
  host: string;
  port: number;
  database: string;
  /** The name the certificate must carry (differs from `host` for Aurora custom endpoints, CNAMEs and tunnels). */
  servername: string;
  /** PEM text of the roots to trust, and nothing else is trusted. */
  ca: string;
  /** Address to dial instead of resolving `host`, as libpq's `hostaddr`. */
  hostaddr?: string | undefined;
}

/** The broker's own way in. `password` is asked again for each new session, so an IAM token is never stale. */
export interface BrokerLogin {
  user: string;
  password: () => Promise<string>;
}

/** A lease to open, or to prolong when `grantId` is live already. */
export interface LeaseToOpen {
  login: string;
  /** Whose login it is, for ever: the guard refuses the name to anybody else. 8 to 64 characters of `[A-Za-z0-9_.:-]`. */
  person: string;
  /** Name on the target's own allow-list (`usher.profile`). */
  profile: string;
  /** What the plan showed of the profile; where the target's list says otherwise by now the guard refuses (`plan`). */
  groups: readonly string[];
  connectionLimit: number;
  /** CREATEROLE, for a password manager. Default false. */
  createsRoles?: boolean;
  /** 8 to 64 characters of `[A-Za-z0-9_.:-]`; a closed one is refused for ever. */
  grantId: string;
  /** At most the profile's `max_minutes` after the first opening, by the target's clock. */
  endsAt: Date;
  /** The first one a login is opened with is the only one it can ever have. */
  method: LoginMethod;
}

/** A password for a login that has a live lease of method `password`. It ends with the last of these leases. */
export interface PasswordToSet {
  login: string;
  grantId: string;
  /** SCRAM-SHA-256, RFC 5803. Clear text is refused, md5 too unless the DBA allowed it. */
  verifier: string;
}

export interface LeaseToClose {
  login: string;
  grantId: string;
  /** Kept in the target's own history, cut at 200 characters. */
  why: string;
}

/** The login role after an open or a close. */
export interface LeaseState {
  login: string;
  /** Leases that still give this login access; 0 means NOLOGIN, no password, no group. */
  live: number;
  /** The latest end of the live leases. */
  endsAt: Date | null;
  /** Groups it still has that usher may not revoke (granted by hand). Empty unless somebody interfered. */
  leftover: string[];
}
export interface OpenedLease extends LeaseState {
  /** The role did not exist before. */
  created: boolean;
}
export interface ClosedLease extends LeaseState {
  /** False when the target never had this lease: nothing was to be done. */
  known: boolean;
  /** No group is left, but somebody keeps the role's row locked: it may still log in. To be tried again. */
  locked: boolean;
}

/** A live session of a managed login. `applicationName` is chosen by the client: never trust it, always escape it. */
export interface TargetBackend {
  pid: number;
  login: string;
  database: string | null;
  /** Null for a Unix socket, or where the guard could not be given pg_read_all_stats. */
  clientAddress: string | null;
  clientPort: number | null;
  /** Null when it may not be seen. */
  tls: boolean | null;
  tlsVersion: string | null;
  tlsCipher: string | null;
  applicationName: string;
  backendStart: Date | null;
  state: string | null;
}

/** A session of anybody: a person's, an application's, the DBA's. */
export interface SeenSession extends TargetBackend {
  /** A login that the guard made. */
  managed: boolean;
  /** A member of `rds_iam` on any path: it logs in by token. Null for a role that was dropped. */
  iam: boolean | null;
  /** Superuser, CREATEROLE, REPLICATION, BYPASSRLS, or a member of `rds_superuser`. Null for a role that was dropped. */
  administrator: boolean | null;
  replication: boolean;
}

/** One look at all sessions of one server. */
export interface Sighting {
  /** The server's clock while it answered. */
  clock: Date;
  /** Tells one server from the next behind the same name. */
  serverStartedAt: Date;
  /** All but those of the broker's own login. */
  sessions: SeenSession[];
}

export interface InspectedMembership {
  role: string;
  grantor: string;
  admin: boolean;
  /** Null before PostgreSQL 16. */
  inherit: boolean | null;
  set: boolean | null;
}
export interface InspectedLease {
  grantId: string;
  profile: string;
  /** As agreed at the opening. What the allow-list has taken away since is not given any more. */
  groups: string[];
  connectionLimit: number;
  method: LoginMethod;
  openedAt: Date;
  endsAt: Date;
}

/** Everything a reconcile compares, for one managed login. */
export interface InspectedLogin {
  login: string;
  /** False when somebody dropped the role behind usher's back. */
  exists: boolean;
  canLogin: boolean;
  connectionLimit: number | null;
  /** Null for none or infinity. Does not end an IAM login: see the lease. */
  validUntil: Date | null;
  /** Of super, createrole, createdb, replication, bypassrls; always empty unless somebody interfered. */
  attributes: string[];
  retiredAt: Date | null;
  /**
   * Without the marker role usher_managed, and from 16 on without the ADMIN that the server itself gives over roles this
   * login made. Includes rds_iam while an iam lease lives.
   */
  memberships: InspectedMembership[];
  /** Roles that are members of this login; always empty unless somebody interfered. */
  members: string[];
  leases: InspectedLease[];
  backends: TargetBackend[];
  preparedTransactions: number;
  /** Null for a login made by a guard older than 1.1. */
  person: string | null;
  /** Objects it owns, over all databases of the cluster. */
  ownedObjects: number;
  /** Objects that name it in their access list: rights given to the login itself, beside its groups. */
  directGrants: number;
}

/** All of a target that a look for drift compares, in one query. */
export interface Survey {
  logins: InspectedLogin[];
  /** Roles that carry the marker usher_managed and were not made by the guard. */
  foreign: string[];
  /** Roles that cannot log in and reach rds_iam: each of their members is shut out of password logins. Without usher_owner. */
  iamGroups: string[];
}

/** One right that was tried on the target, and what to do where it is missing. */
export interface Proof {
  /** Stable, e.g. `open iam reporting-read`. */
  right: string;
  /** `missing`: something cannot work, or is not safe, until the DBA acts. `warn`: it works, and the DBA should know. */
  verdict: 'ok' | 'warn' | 'missing';
  finding: string;
  /** What the DBA runs, or does; null when nothing is to be done. */
  remedy: string | null;
}

/** A line of the target's own allow-list, which only its DBA can write. */
export interface GuardProfile {
  name: string;
  groups: string[];
  maxMinutes: number;
  connectionLimit: number;
  methods: LoginMethod[];
  enabled: boolean;
  /** Gives rds_password: the one exception to the ban on rds_* groups, made by usher.allow_password_manager(). */
  managesPasswords: boolean;
  /** And CREATEROLE. */
  createsRoles: boolean;
}

/** Something the DBA should put right; `code` is stable. */
export interface GuardProblem {
  code: string;
  message: string;
}
export interface GuardHello {
  /** As `server_version_num`, e.g. 170010. */
  serverVersion: number;
  guardVersion: string;
  /** The DBA's kill switch: nothing opens, closing works. */
  paused: boolean;
  /** True on a reader: nothing can be opened or closed here. */
  inRecovery: boolean;
  /** When the leases were last swept by anybody but the broker, e.g. pg_cron; null when never. */
  sweptAt: Date | null;
  sweptBy: string | null;
  problems: GuardProblem[];
}

/** The guard of one target, over a few kept sessions. Every failure is a DomainError with advice. */
export interface TargetSession {
  open(lease: LeaseToOpen): Promise<OpenedLease>;
  close(lease: LeaseToClose): Promise<ClosedLease>;
  /** Sets or replaces the password of a live lease. */
  setPassword(password: PasswordToSet): Promise<void>;
  /**
   * Ends the sessions of these logins, those not yet in pg_stat_activity too, and answers how many it signalled; call it
   * after `close` is committed, and look again. Unknown logins are left out.
   */
  terminate(logins: readonly string[]): Promise<number>;
  /** Makes a managed login what its live leases say, as open and close do. */
  repair(login: string): Promise<LeaseState>;
  /** On the writer: lets the guard end the sessions of a login on readers too, until it is taken back. */
  reach(login: string, on: boolean): Promise<void>;
  /** Ends the sessions of a login on this very instance, also a reader. Refused until `reach` was replicated there. */
  endHere(login: string): Promise<number>;
  /** All managed logins, or only those named (unknown names are left out). */
  inspect(logins?: readonly string[]): Promise<InspectedLogin[]>;
  /** Everything a look for drift compares. */
  survey(): Promise<Survey>;
  /**
   * Tries every right the broker needs, in transactions that are rolled back, and says what is missing.
   * @param probe the login name to try with, for a target whose `login_pattern` refuses `check_…`
   */
  prove(probe?: string): Promise<Proof[]>;
  profiles(): Promise<GuardProfile[]>;
  hello(): Promise<GuardHello>;
  /** The server's settings, slots and clock, and who reaches `rds_iam`: read past the guard, as any login may. */
  facts(asked?: FactsAsked): Promise<ServerFacts>;
  /** Live sessions of all managed logins on the instance this session is connected to. */
  activity(): Promise<TargetBackend[]>;
  /** Everybody who is connected to the instance this session is connected to, in one query. */
  sessions(): Promise<Sighting>;
  /** Closes every expired lease and then ends the sessions of logins without a lease, as pg_cron would. */
  sweep(): Promise<void>;
}

/** What an approver is shown: the very statement, its parameters, and what it does inside the target. */
export interface PlannedCall {
  call: 'open' | 'set_password' | 'close' | 'terminate';
  sql: string;
  parameters: { name: string; value: string }[];
  /** The statements that the guard runs for it, in order; conditions are SQL comments. */
  effects: string[];
}
export interface PlanInput {
  login: string;
  person: string;
  profile: { name: string; groups: readonly string[]; connectionLimit: number; createsRoles?: boolean };
  method: LoginMethod;
  /** Null while it is not yet given: shown as `<grant id>`. */
  grantId: string | null;
  /** Null while it is not yet known: shown as `<end of the grant>`. */
  endsAt: Date | null;
  /** E.g. 17; from 16 on memberships carry INHERIT and SET. */
  serverMajor: number;
}
