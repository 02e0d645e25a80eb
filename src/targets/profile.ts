import type { Profile as Row } from '../generated/prisma/client.js';
import type { FieldProblem } from '../platform/errors.js';
import type { ProfileFacts, TargetFacts } from '../policy/policy.contract.js';
import type { GuardProfile } from '../postgres/postgres.contract.js';
import { keptStage, stagesIn, totalOf } from './stages.js';
import type { LoginMethod, Profile, Sensitivity } from './targets.contract.js';

export type ProfileRow = Row;

export const presentProfile = (row: Row): Profile => ({
  id: row.id,
  targetId: row.targetId,
  name: row.name,
  groups: row.groups,
  maxMinutes: row.maxMinutes,
  approvalsNeeded: row.approvalsNeeded,
  readOnly: row.readOnly,
  sensitivity: row.sensitivity as Sensitivity,
  connectionLimit: row.connectionLimit,
  methods: row.methods as LoginMethod[],
  managesPasswords: row.managesPasswords,
  createsRoles: row.createsRoles,
  approvalStages: stagesIn(row.approvalStages).map(keptStage),
  createdAt: row.createdAt,
  updatedAt: row.updatedAt,
});

export const profileFacts = (row: Row, target: TargetFacts): ProfileFacts => ({
  id: row.id,
  target,
  readOnly: row.readOnly,
  sensitivity: row.sensitivity as ProfileFacts['sensitivity'],
  approvalsNeeded: Math.max(row.approvalsNeeded, totalOf(stagesIn(row.approvalStages))),
  maxMinutes: row.maxMinutes,
  managesPasswords: row.managesPasswords,
});

interface Promised {
  name: string;
  groups: readonly string[];
  maxMinutes: number;
  connectionLimit: number;
  methods: readonly string[];
  managesPasswords: boolean;
  createsRoles: boolean;
}

const sameSet = (a: readonly string[], b: readonly string[]): boolean =>
  JSON.stringify([...a].sort()) === JSON.stringify([...b].sort());

/**
 * How a profile differs from what the owner of the target allow-listed there, in words; empty when it may be used.
 * The target's word is final: the guard gives what its own list says, so a difference would make a plan a lie.
 */
export function differences(profile: Promised, allowed: GuardProfile | undefined): string[] {
  if (!allowed) return ["it is not on the target's allow-list"];
  const found: string[] = [];
  if (!allowed.enabled) found.push('it is switched off on the target');
  if (!sameSet(profile.groups, allowed.groups)) found.push(`its groups there are ${allowed.groups.join(', ')}`);
  if (profile.maxMinutes > allowed.maxMinutes) found.push(`it may last ${allowed.maxMinutes} minutes there`);
  if (profile.connectionLimit !== allowed.connectionLimit)
    found.push(`its connection limit there is ${allowed.connectionLimit}`);
  const missing = profile.methods.filter((method) => !allowed.methods.includes(method as LoginMethod));
  if (missing.length > 0) found.push(`method ${missing.join(', ')} is not allowed there`);
  if (profile.managesPasswords !== allowed.managesPasswords)
    found.push(allowed.managesPasswords ? 'it manages passwords there' : 'it may not manage passwords there');
  if (profile.createsRoles !== allowed.createsRoles)
    found.push(allowed.createsRoles ? 'it gives CREATEROLE there' : 'it may not give CREATEROLE there');
  return found;
}

/** What of a profile does not fit together, field by field. */
export function profileProblems(
  profile: Pick<Promised, 'groups' | 'managesPasswords' | 'createsRoles'> & {
    approvalsNeeded: number;
    readOnly: boolean;
  },
): FieldProblem[] {
  const problems: FieldProblem[] = [];
  if (profile.createsRoles && !profile.managesPasswords)
    problems.push({
      field: 'createsRoles',
      message: 'CREATEROLE is given to those who manage passwords, and to nobody else: set managesPasswords too.',
    });
  if (!profile.managesPasswords) return problems;
  if (!sameSet(profile.groups, ['rds_password']))
    problems.push({ field: 'groups', message: 'A profile that manages passwords has the group rds_password alone.' });
  if (profile.approvalsNeeded < 1)
    problems.push({
      field: 'approvalsNeeded',
      message: 'A profile that manages passwords is never given without approval: 1 at the least.',
    });
  if (profile.readOnly)
    problems.push({ field: 'readOnly', message: 'Whoever sets passwords does not only read: false.' });
  return problems;
}

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** What the owner of the target would run to allow exactly this profile. */
export const allowStatement = (profile: Promised): string =>
  profile.managesPasswords ? allowManager(profile) : allowGroups(profile);

const allowManager = (profile: Promised): string =>
  `SELECT usher.allow_password_manager(${literal(profile.name)}, ${profile.maxMinutes}, ${profile.connectionLimit}, creates_roles => ${profile.createsRoles}, methods => ${literal(`{${profile.methods.join(',')}}`)});`;

const allowGroups = (profile: Promised): string =>
  `SELECT usher.allow(${literal(profile.name)}, ${literal(`{${profile.groups.join(',')}}`)}, ${profile.maxMinutes}, ${profile.connectionLimit}, ${literal(`{${profile.methods.join(',')}}`)});`;
