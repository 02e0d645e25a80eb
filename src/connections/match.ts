import { grantIdOf } from './recipe-input.js';

/** What is known of a grant when a session is matched. */
export interface GrantPeriod {
  id: string;
  personId: string;
  login: string;
  method: 'iam' | 'password';
  mode: 'session' | 'attached';
  openedAt: Date | null;
  endsAt: Date;
  closedAt: Date | null;
}

/** A token that was minted. */
export interface Mint {
  id: string;
  grantId: string;
  /** Kind, host and port of the endpoint it was signed for. */
  endpoint: string;
  host: string;
  port: number;
  at: Date;
  expiresAt: Date;
}

/** The endpoint under which a session was seen. */
export interface SeenAt {
  kind: string;
  tokenHost: string;
  port: number;
}

/** A session as far as it is matched. */
export interface Session {
  login: string;
  /** By the broker's clock; null when it may not be seen. */
  startedAt: Date | null;
  applicationName: string | null;
}

/** How sure it is under which grant a session is: `inferred` when others would fit as well. */
export interface Match {
  grant: GrantPeriod | undefined;
  mint: Mint | undefined;
  certain: boolean;
}

/** Clocks of target and broker may differ by so much, beside what was measured. */
export const SKEW_MS = 30_000;
/** A token opens sessions for so long (RDS User Guide, "IAM database authentication"). */
export const TOKEN_MS = 900_000;
/** Tokens for these reach a server that is looked at under another endpoint, and those for others reach it by that server's own name. */
const LEAD_ELSEWHERE = new Set(['custom', 'proxy', 'instance']);

/**
 * The grant under which a session was opened, and the token that opened it. It is of the session's own login and was live
 * when the session began. Among several: the one that the session names, else the one whose token was minted last before it,
 * else the one opened last before it. The name alone proves nothing: any client may write it.
 */
export function match(session: Session, grants: readonly GrantPeriod[], mints: readonly Mint[], seenAt: SeenAt): Match {
  const fits = grants.filter((grant) => isLiveAt(grant, session));
  const tokens = new Map(fits.map((grant) => [grant.id, mintOf(grant, session, mints, seenAt)]));
  const named = grantIdOf(session.applicationName ?? '');
  const byMint = (grant: GrantPeriod): number => tokens.get(grant.id)?.at.getTime() ?? 0;
  const opened = (grant: GrantPeriod): number => grant.openedAt?.getTime() ?? 0;
  const [first] = [...fits].sort(
    (a, b) => byMint(b) - byMint(a) || opened(b) - opened(a) || (a.id < b.id ? 1 : -1), // ids are given in the order of time
  );
  const grant = fits.find(({ id }) => id === named) ?? first;
  const minted = fits.filter(({ id }) => tokens.get(id) !== undefined);
  const certain = session.startedAt !== null && (fits.length < 2 || (minted.length === 1 && minted[0] === grant));
  return { grant, mint: grant && tokens.get(grant.id), certain };
}

/** With a little more on both sides, for clocks that differ. */
export function isLiveAt(grant: GrantPeriod, { login, startedAt }: Session): boolean {
  if (grant.login !== login || grant.openedAt === null) return false;
  if (startedAt === null) return grant.closedAt === null;
  const end = Math.min(grant.endsAt.getTime(), grant.closedAt?.getTime() ?? Infinity);
  return startedAt.getTime() >= grant.openedAt.getTime() - SKEW_MS && startedAt.getTime() <= end + SKEW_MS;
}

function mintOf(grant: GrantPeriod, { startedAt }: Session, mints: readonly Mint[], at: SeenAt): Mint | undefined {
  if (startedAt === null) return undefined;
  const began = startedAt.getTime();
  const fitting = mints.filter(
    (mint) =>
      mint.grantId === grant.id &&
      leadsTo(mint, at) &&
      mint.at.getTime() <= began + SKEW_MS &&
      began <= Math.min(mint.at.getTime() + TOKEN_MS, mint.expiresAt.getTime()) + SKEW_MS,
  );
  return fitting.sort((a, b) => b.at.getTime() - a.at.getTime())[0];
}

/** A token for one endpoint opens nothing at another; but some endpoints are other names of the same servers. */
export const leadsTo = (mint: Mint, at: SeenAt): boolean =>
  (mint.host === at.tokenHost && mint.port === at.port) ||
  LEAD_ELSEWHERE.has(mint.endpoint) ||
  LEAD_ELSEWHERE.has(at.kind);
