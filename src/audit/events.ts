/** Everything that can be on record. Details hold facts and names, never a token, a password or a key. */
export type AuditAction =
  | 'account.create'
  | 'account.update'
  | 'account.delete'
  | 'policy.activate'
  | 'policy.rollback'
  | 'target.create'
  | 'target.update'
  | 'target.removing'
  | 'target.delete'
  | 'target.lock'
  | 'target.unlock'
  | 'target.iamAuthentication'
  | 'discovery.start'
  | 'discovery.finish'
  | 'trust.bundleChanged'
  | 'trust.bundleRefused'
  | 'person.remove'
  | 'person.restore'
  | 'person.lock'
  | 'person.unlock'
  | 'service.create'
  | 'service.update'
  | 'service.lock'
  | 'service.unlock'
  | 'service.remove'
  | 'key.create'
  | 'key.rotate'
  | 'key.revoke'
  | 'profile.create'
  | 'profile.update'
  | 'profile.delete'
  | 'request.create'
  | 'request.edit'
  | 'request.breakGlass'
  | 'request.approve'
  | 'request.deny'
  | 'request.cancel'
  | 'request.expire'
  | 'request.replan'
  | 'request.replace'
  | 'review.close'
  | 'grant.create'
  | 'grant.opening'
  | 'grant.active'
  | 'grant.revoke'
  | 'grant.closing'
  | 'grant.closed'
  | 'grant.failed'
  | 'grant.extend'
  | 'grant.shorten'
  | 'grant.fault'
  | 'grant.fenced'
  | 'grant.sessionsEnded'
  | 'grant.diagnose'
  | 'token.mint'
  | 'password.issue'
  | 'drift.found'
  | 'drift.resolved'
  | 'connection.seen'
  | 'connection.flagged'
  | 'connection.ended'
  | 'access.refused';

/** What a line says; actor, time and correlation id are added when it is appended. */
export interface AuditEntry {
  action: AuditAction;
  outcome?: 'success' | 'refused' | 'failed';
  subjectId?: string | undefined;
  targetId?: string | undefined;
  requestId?: string | undefined;
  grantId?: string | undefined;
  code?: string | undefined;
  details?: Readonly<Record<string, unknown>>;
}
