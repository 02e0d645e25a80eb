import type { LoginFailure } from '../postgres/server-log.contract.js';
import { LoginFailureCause } from './login-failures.contract.js';
import { SKEW_MS, TOKEN_MS, isLiveAt, leadsTo, type GrantPeriod, type Mint, type SeenAt } from './match.js';

/** A login that failed, as the server's log has it. */
export interface FailedLogin {
  login: string;
  /** By the broker's clock. */
  at: Date;
  failure: LoginFailure;
  /** Whether the login is a person's of Usher. */
  isPersons: boolean;
}

/** Of what the server says by itself, with nothing to be looked up. */
const PLAIN: Partial<Record<LoginFailure, LoginFailureCause>> = {
  rejected: LoginFailureCause.no_tls,
  database: LoginFailureCause.no_database,
  limit: LoginFailureCause.too_many_connections,
  unavailable: LoginFailureCause.server_unavailable,
  timeout: LoginFailureCause.too_slow,
};

/**
 * The likeliest cause of a failed login. A server tells the client as little as it can, and its log hardly more: what is known of
 * grants and tokens decides.
 * @param grants of the login
 * @param seenAt the endpoint whose log it is; undefined where the log does not tell
 */
export function causeOf(
  failed: FailedLogin,
  grants: readonly GrantPeriod[],
  mints: readonly Mint[],
  seenAt: SeenAt | undefined,
): LoginFailureCause {
  const plain = PLAIN[failed.failure];
  if (plain !== undefined) return plain;
  if (!failed.isPersons) return LoginFailureCause.unknown_login;
  const session = { login: failed.login, startedAt: failed.at, applicationName: null };
  const live = grants.filter((grant) => isLiveAt(grant, session));
  if (live.length === 0) return beyond(failed, grants);
  if (live.every(({ method }) => method === 'password')) return LoginFailureCause.wrong_password;
  if (live.some(({ mode }) => mode === 'attached')) return LoginFailureCause.token_refused;
  return ofToken(
    failed,
    mints.filter(({ grantId }) => live.some(({ id }) => id === grantId)),
    seenAt,
  );
}

/** No grant was live: was there one before? */
const beyond = ({ login, at }: FailedLogin, grants: readonly GrantPeriod[]): LoginFailureCause =>
  grants.some((grant) => grant.login === login && grant.openedAt !== null && grant.openedAt <= at)
    ? LoginFailureCause.grant_over
    : LoginFailureCause.no_grant;

function ofToken({ at }: FailedLogin, mints: readonly Mint[], seenAt: SeenAt | undefined): LoginFailureCause {
  const before = mints.filter((mint) => mint.at.getTime() <= at.getTime() + SKEW_MS);
  if (before.length === 0) return LoginFailureCause.no_token;
  const young = before.filter(
    (mint) => at.getTime() <= Math.min(mint.at.getTime() + TOKEN_MS, mint.expiresAt.getTime()) + SKEW_MS,
  );
  if (young.length === 0) return LoginFailureCause.token_expired;
  if (seenAt !== undefined && !young.some((mint) => leadsTo(mint, seenAt))) return LoginFailureCause.other_endpoint;
  return LoginFailureCause.token_refused;
}

/** What to do about each. */
export const advice: Readonly<Record<LoginFailureCause, string>> = {
  [LoginFailureCause.no_tls]: 'Connect with TLS: the recipes that come with a token do.',
  [LoginFailureCause.no_database]: 'Name the database that the grant is for, as the recipes do.',
  [LoginFailureCause.too_many_connections]: 'Close sessions, or use a smaller pool.',
  [LoginFailureCause.server_unavailable]: 'The server was starting, stopping or recovering: try again.',
  [LoginFailureCause.too_slow]: 'The client did not finish in time: look at the network between.',
  [LoginFailureCause.unknown_login]: 'The login is nobody’s of Usher: ask the owner of the target whose it is.',
  [LoginFailureCause.no_grant]: 'Ask for access with POST /v1/requests.',
  [LoginFailureCause.grant_over]: 'The access had ended: ask for it anew with POST /v1/requests.',
  [LoginFailureCause.wrong_password]: 'Ask for another password with POST /v1/grants/{id}/passwords.',
  [LoginFailureCause.no_token]:
    'Get a token with POST /v1/grants/{id}/tokens: one that was signed elsewhere opens nothing here.',
  [LoginFailureCause.token_expired]: 'A token lasts 15 minutes: get another with POST /v1/grants/{id}/tokens.',
  [LoginFailureCause.other_endpoint]:
    'The token was for another endpoint: name the one to connect to when you ask for it.',
  [LoginFailureCause.token_refused]:
    'The token was cut by the client, or IAM refused it: POST /v1/grants/{id}/diagnose tells which.',
};
