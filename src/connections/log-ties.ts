/** A login that the server's log tells of, joined from the lines of one session. */
export interface LoggedLogin {
  /** Of the event that says it was let in. */
  eventId: string;
  pid: number;
  login: string;
  /** When it was let in, by the target's clock. */
  at: Date;
  /** When the connection was received; null where that line is missing. */
  receivedAt: Date | null;
  /** false: instants are those of the second that they lie in. */
  toTheMillisecond: boolean;
}

/** A session as it is kept. */
export interface KeptSession {
  id: string;
  pid: number;
  login: string;
  backendStart: Date;
}

/** Between the fork of the process, which `backend_start` tells, and its first line. */
const FORK_MS = 1_000;
const SECOND_MS = 1_000;
/** `authentication_timeout` at its default: a login takes no longer. */
const LOGIN_MS = 60_000;

/** The kept session of a login in the log: of the same process and login, begun when the log has it begin. */
export function tie<Kept extends KeptSession>(logged: LoggedLogin, kept: readonly Kept[]): Kept | undefined {
  const rounding = logged.toTheMillisecond ? 0 : SECOND_MS;
  const earliest = logged.receivedAt === null ? logged.at.getTime() - LOGIN_MS : logged.receivedAt.getTime() - FORK_MS;
  const latest = (logged.receivedAt ?? logged.at).getTime() + rounding + FORK_MS;
  return kept.find(
    ({ pid, login, backendStart }) =>
      pid === logged.pid &&
      login === logged.login &&
      backendStart.getTime() >= earliest &&
      backendStart.getTime() <= latest,
  );
}

/** When a session began that only the log knows of. */
export const beganAt = ({ receivedAt, at }: LoggedLogin): Date => receivedAt ?? at;
