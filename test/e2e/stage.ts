import pg from 'pg';
import type { StandIn } from '../../local/stand-in.ts';
import { clientOf, type Client } from '../support/usher.ts';

/** A service that answers: in this process, or the real one as a child. */
export interface Reached {
  url: string;
  standIn: StandIn;
}

export type TargetName = keyof StandIn['targets'];

export interface Stage extends Reached {
  targets: Record<TargetName, { id: string; profiles: Record<string, string> }>;
}

export interface Person extends Client {
  name: string;
  token: string;
}

export interface Grant {
  id: string;
  state: string;
  login: string;
  startsAt: string;
  endsAt: string;
  openedAt: string | null;
  closedAt: string | null;
  attempts: number;
  lastError: string | null;
}

export interface LoginToken {
  token: string;
  host: string;
  port: number;
  user: string;
  database: string;
  recipes: { client: string; text: string }[];
}

/** Longer than any test moves the clock. */
const TOKEN_SECONDS = 7 * 86_400;
let made = 0;

export interface LoginPassword extends Omit<LoginToken, 'token'> {
  password: string;
  issuedAt: string;
  expiresAt: string;
  warnings: string[];
}

/** Somebody nobody else has met: with a login role of their own, so that test files do not disturb each other. */
export function person(
  at: Reached,
  name: string,
  groups: readonly string[],
  more: Record<string, unknown> = {},
): Person {
  const unique = `${name}_${process.pid}_${++made}`;
  const own = {
    sub: `sub-${unique}`,
    preferred_username: unique,
    email: `${unique}@example.com`,
    groups,
    aws_principal: undefined,
  };
  const token = at.standIn.oidc.signWith(
    at.standIn.oidc.claimsOf('alice', { expiresIn: TOKEN_SECONDS, claims: { ...own, ...more } }),
  );
  return { name: unique, token, ...clientOf(at.url, token) };
}

/** One of the four people of the stand-in. */
export async function known(at: Reached, name: 'alice' | 'bob' | 'carol' | 'dave'): Promise<Person> {
  const token = await at.standIn.oidc.tokenFor(name, { expiresIn: TOKEN_SECONDS });
  return { name, token, ...clientOf(at.url, token) };
}

const must = <T>(status: number, answer: { status: number; body: T }): T => {
  if (answer.status !== status)
    throw new Error(`answered ${answer.status}, not ${status}: ${JSON.stringify(answer.body)}`);
  return answer.body;
};

/** Both targets with all their profiles, registered by dave. */
export async function setStage(at: Reached): Promise<Stage> {
  const dave = await known(at, 'dave');
  const register = async (name: TargetName): Promise<Stage['targets'][TargetName]> => {
    const { registration } = at.standIn.targets[name];
    const { id } = must(201, await dave.post<{ id: string }>('/v1/targets', registration.target));
    const profiles: Record<string, string> = {};
    for (const profile of registration.profiles)
      profiles[profile.name] = must(201, await dave.post<{ id: string }>(`/v1/targets/${id}/profiles`, profile)).id;
    return { id, profiles };
  };
  return {
    url: at.url,
    standIn: at.standIn,
    targets: { orders: await register('orders'), billing: await register('billing') },
  };
}

export interface Ask {
  target: TargetName;
  /** Default: the target's first. */
  profile?: string;
  minutes?: number;
  reason?: string;
  mode?: 'session' | 'attached';
  method?: 'iam' | 'password';
  startsAt?: string;
}

export function requestBody(stage: Stage, ask: Ask): Record<string, unknown> {
  const { id, profiles } = stage.targets[ask.target];
  const { target: _target, profile, minutes, ...more } = ask;
  const profileId = profile === undefined ? Object.values(profiles)[0] : profiles[profile];
  return { targetId: id, profileId, durationMinutes: minutes ?? 30, reason: 'to look something up', ...more };
}

interface Asked {
  id: string;
  state: string;
  grantId: string | null;
}

/** Asks, and has bob agree where that is needed; answers with the grant's id, however far its opening is. */
export async function agreed(stage: Stage, who: Person, ask: Ask): Promise<string> {
  const asked = must(201, await who.post<Asked>('/v1/requests', requestBody(stage, ask)));
  if (asked.grantId !== null) return asked.grantId;
  const bob = await known(stage, 'bob');
  const { grantId } = must(200, await bob.post<Asked>(`/v1/requests/${asked.id}/approve`, {}));
  if (grantId === null) throw new Error('one yes was not enough');
  return grantId;
}

export const grantOf = async (who: Person, id: string, wait?: string): Promise<Grant> =>
  must(200, await who.get<Grant>(`/v1/grants/${id}${wait === undefined ? '' : `?wait=${wait}`}`));

/** Waits for a state: patiently, for a machine with other things to do. @throws Error when the grant does not get there */
export async function reached(who: Person, id: string, state: 'active' | 'closed'): Promise<Grant> {
  for (let patience = 3; ; patience--) {
    const grant = await grantOf(who, id, state);
    if (grant.state === state) return grant;
    const over = grant.state === 'closed' || grant.state === 'failed';
    if (over || patience === 0) throw new Error(`the grant is ${grant.state}: ${grant.lastError ?? ''}`);
  }
}

/** Asks until the grant is active. */
export const opened = async (stage: Stage, who: Person, ask: Ask): Promise<Grant> =>
  reached(who, await agreed(stage, who, ask), 'active');

export const closed = (who: Person, id: string): Promise<Grant> => reached(who, id, 'closed');

export const revoke = async (who: Person, id: string): Promise<Grant> =>
  must(200, await who.post<Grant>(`/v1/grants/${id}/revoke`));

export const mint = async (who: Person, id: string, body: Record<string, unknown> = {}): Promise<LoginToken> =>
  must(201, await who.post<LoginToken>(`/v1/grants/${id}/tokens`, body));

/** Of a grant of method password. */
export const issue = async (who: Person, id: string, body: Record<string, unknown> = {}): Promise<LoginPassword> =>
  must(201, await who.post<LoginPassword>(`/v1/grants/${id}/passwords`, body));

/** A password is given where a token is. */
export const byPassword = ({ password, host, port, user, database }: LoginPassword): Login => ({
  ...{ token: password, host, port, user, database },
});

export type Login = Pick<LoginToken, 'token' | 'host' | 'port' | 'user' | 'database'>;

/** Logs in over verified TLS. The session may be cut; that is no error of the test. */
export async function logIn(
  { standIn }: Reached,
  login: Login,
  ca = standIn.targets.orders.rds.caPem,
): Promise<pg.Client> {
  const { token: password, host, port, user, database } = login;
  const client = new pg.Client({ host, port, user, database, password, ssl: { ca } });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** Logs in, asks who it is, and leaves. */
export async function whoAmI(at: Reached, login: Login): Promise<string> {
  const client = await logIn(at, login);
  try {
    const { rows } = await client.query<{ who: string }>('SELECT current_user AS who');
    return rows[0]?.who ?? '';
  } finally {
    await client.end();
  }
}

interface Line {
  action: string;
  outcome: string;
  at: string;
  details: Record<string, unknown>;
}

/** The record of one grant, oldest first, through the API. */
export async function story(stage: Stage, grantId: string): Promise<Line[]> {
  const carol = await known(stage, 'carol');
  const { items } = must(200, await carol.get<{ items: Line[] }>(`/v1/audit/events?grant=${grantId}&limit=200`));
  return items.reverse();
}

/** An IAM user for attached mode, who may do nothing yet, with keys of their own. */
export function iamUser({ standIn }: Reached, name: string) {
  const user = standIn.aws.iam.createUser(name, { path: '/people/' });
  const { accessKeyId, secretAccessKey } = standIn.aws.iam.createAccessKey(name);
  return { arn: user.arn, policies: (): string[] => [...user.inline.keys()], user, accessKeyId, secretAccessKey };
}
