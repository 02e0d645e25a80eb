import { busy, notReady, refused, type Advice } from './faults.js';

const reasonTable: Record<string, Advice> = {
  paused: notReady('The DBA has paused access to this target.', "The DBA sets usher.setting 'paused' to 'off'."),
  // who
  login_name: {
    kind: 'invalid',
    code: 'invalid_login_name',
    message: 'The target does not accept this login name.',
    advice: 'Choose a name of a-z, 0-9 and _, up to 63 characters, that is not reserved (pg_*, rds*, usher*, aws*).',
  },
  person: refused(
    'The login belongs to another person on this target.',
    'Give the person another login name: a name is never used for two people.',
  ),
  not_managed: refused(
    'A role of this name exists on the target and was not made by usher.',
    'Give the person another login name, or let the DBA rename the existing role.',
  ),
  no_such_login: refused(
    'The target has no login of this name.',
    'Nothing is to be undone there; if a DBA dropped the role, open a new grant.',
  ),
  renamed: refused(
    'Somebody gave the login role another name on the target.',
    'The next look for drift or sweep renames it back; the DBA may do it with usher.repair(login).',
  ),
  retired: refused('The login was retired by the DBA.', 'Give the person another login name.'),
  not_retired: refused('The login is not retired.', 'The DBA runs usher.retire(login) first.'),
  can_login: refused('The login can log in although no grant is live.', 'The DBA runs CALL usher.sweep() first.'),
  in_rds_iam: refused('The login is still a member of rds_iam.', 'The DBA revokes that membership.'),
  attributes: refused('The login role carries role attributes.', 'The DBA takes them off with ALTER ROLE.'),
  prepared: refused(
    'The person has a prepared transaction on the target.',
    'The DBA finds it in pg_prepared_xacts, ends it with ROLLBACK PREPARED, and sets max_prepared_transactions to 0.',
  ),
  not_reached: busy(
    'The reader has not yet heard of the right to end sessions there.',
    'It is tried again; if it lasts, look at the replication lag of the reader.',
  ),
  sessions: refused('A session of the login does not end.', 'The DBA looks at pg_stat_activity for what it waits for.'),
  member: refused('Another role is a member of the login role.', 'The DBA revokes that membership.'),
  role_locked: busy(
    'A session of the person keeps the role row locked.',
    'It is tried again; the DBA may end that session.',
  ),
  // what
  plan: {
    kind: 'conflict',
    code: 'plan_changed',
    message: "The target's allow-list says otherwise of the profile than what was approved.",
    advice: 'Ask again: the new request shows what would be given now.',
  },
  profile: refused(
    "The profile is not on the target's allow-list, or disabled.",
    'The DBA runs usher.allow(profile, groups, max_minutes) on the target.',
  ),
  group: refused(
    'The profile names a group role that the target may not hand out.',
    'The DBA looks at usher.hello(): the group is missing, can log in, or reaches a privileged role.',
  ),
  quota: refused(
    'The target has too many leases or logins.',
    'The DBA raises the limit in usher.setting, or drops idle logins with usher.drop().',
  ),
  // how
  method: refused(
    'The target does not allow this login method for the profile.',
    'The DBA adds the method with usher.allow(..., methods => ...).',
  ),
  other_method: refused(
    'The login is used with the other method.',
    'A login uses a token or a password, never both: ask for the method it was first opened with, or for another login name.',
  ),
  verifier: refused(
    'The target does not accept the verifier of the password.',
    'It takes SCRAM-SHA-256 with 4096 iterations or more, and md5 only where its DBA allowed that.',
  ),
  rds_password: refused(
    'The target lets only members of rds_password set passwords (rds.restrict_password_commands = 1).',
    'The DBA runs `GRANT rds_password TO usher_owner;`, or the output of `npm run usher -- target-sql` again, which does it.',
  ),
  // how long
  ends_at: refused(
    'The end is in the past or beyond the maximum that the target allows for the profile.',
    "Compare the profile with usher.profiles(); the DBA raises max_minutes, or the target's clock is wrong.",
  ),
  grant_closed: refused(
    'The target closed this grant already.',
    'Ask for a new grant: a closed one is never opened again.',
  ),
  grant_id: refused('The target does not accept the id of this grant.', 'Ask for a new grant.'),
  grant_taken: refused('The target knows this grant as one of another login or profile.', 'Ask for a new grant.'),
  no_such_lease: refused(
    'The target has no such live grant for this login.',
    'Nothing is to be closed there; for a password the grant must be active.',
  ),
  live_lease: refused('A lease of the login is still live.', 'End the grant first.'),
  // our own session
  isolation: refused(
    'The guard works in READ COMMITTED only.',
    'The DBA takes back a default_transaction_isolation that was set for usher_broker or for its database.',
  ),
};

/** Refusals of the guard, by the reason that it names; see `_refuse` in sql/30-inner.sql. */
export const reasons: ReadonlyMap<string, Advice> = new Map(Object.entries(reasonTable));
