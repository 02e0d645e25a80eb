import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import type pg from 'pg';
import { until } from '../support/until.ts';
import {
  type iamUser,
  logIn,
  mint,
  requestBody,
  type Ask,
  type Grant,
  type LoginToken,
  type Person,
  type Stage,
} from '../e2e/stage.ts';
import { chance, oneOf, type Dice } from './dice.ts';
import type { Answer } from '../support/usher.ts';

/** What somebody means to do with the access that is asked for. */
const fates = ['stay', 'regret', 'visit', 'hurry', 'longer'] as const;
type Fate = (typeof fates)[number];

/** A person with an IAM user of their own. */
export interface Visitor {
  who: Person;
  iam: ReturnType<typeof iamUser>;
}

/** One grant from its asking on: what was agreed by the answers that were heard. */
export interface Errand {
  visitor: Visitor;
  ask: Ask & { minutes: number };
  fate: Fate;
  grantId?: string;
  /** Minutes that were agreed to in all. */
  minutes: number;
  /** It must live until somebody ends it. */
  lives: boolean;
  /** Tokens that were answered. */
  minted: number;
  sessions: pg.Client[];
}

const PATIENCE_MS = 90_000;
/** By so much a grant that hurries outlives its shortening. */
const HURRY_MS = 1_200;

export function newErrand(random: Dice, visitor: Visitor): Errand {
  const target = oneOf(random, ['orders', 'orders', 'billing'] as const);
  const mode = target === 'orders' && chance(random, 0.2) ? 'attached' : 'session';
  const profile = target === 'billing' ? 'invoices-read' : oneOf(random, ['reporting-read', 'orders-write']);
  const ask = { target, profile, mode, minutes: 30 + Math.floor(random() * 60) } as const;
  return { visitor, ask, fate: oneOf(random, fates), minutes: ask.minutes, lives: false, minted: 0, sessions: [] };
}

/**
 * The same call until it is answered, by its key: the service may die at any moment of it, and the target may be down.
 * @throws Error when the answer is a refusal, or none came in time
 */
async function answered<T>(what: string, call: (key: Record<string, string>) => Promise<Answer<T>>): Promise<T> {
  const key = { 'idempotency-key': randomUUID() };
  let last: unknown;
  const { status, body } = await until(
    what,
    async () => {
      const answer = await call(key).catch((error: unknown) => void (last = error));
      if (answer) last = answer.body;
      const again = answer === undefined || answer.status === 503 || code(answer) === 'concurrent_change';
      return again ? undefined : answer;
    },
    PATIENCE_MS,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}, at last: ${inspect(last).slice(0, 600)}`);
  });
  if (status >= 300) throw new Error(`${what} was refused: ${JSON.stringify(body).slice(0, 400)}`);
  return body;
}

const code = (answer: Answer<unknown>): unknown => (answer.body as { code?: unknown }).code;

interface Asked {
  id: string;
  grantId: string | null;
}

/** Asks, has it agreed to, and does with it what is meant; whatever is answered is kept in the errand. */
export async function run(stage: Stage, bob: Person, errand: Errand): Promise<void> {
  const { who } = errand.visitor;
  const body = requestBody(stage, errand.ask);
  const asked = await answered('the request', (key) => who.post<Asked>('/v1/requests', body, key));
  errand.grantId = asked.grantId ?? (await agree(bob, asked.id)).grantId!;
  errand.lives = true;
  switch (errand.fate) {
    case 'stay':
      return;
    case 'regret':
      return leave(errand);
    case 'visit':
      await active(errand);
      await visit(stage, errand, 'writer').catch(() => undefined); // who finds the door shut goes home
      return leave(errand);
    case 'hurry':
      return hurry(errand);
    case 'longer':
      await visit(stage, errand, 'reader').catch(() => undefined);
      return longer(bob, errand);
  }
}

const agree = (bob: Person, id: string): Promise<Asked> =>
  answered('the approval', (key) => bob.post<Asked>(`/v1/requests/${id}/approve`, {}, key));

/** Ends it; heard once it is answered. */
export async function leave(errand: Errand): Promise<void> {
  const { visitor, grantId } = errand;
  await answered('the revocation', (key) => visitor.who.post(`/v1/grants/${grantId}/revoke`, {}, key));
  errand.lives = false;
}

/** Moves its end so near that it comes while all this goes on. */
export async function hurry(errand: Errand): Promise<void> {
  const endsAt = new Date(Date.now() + HURRY_MS).toISOString();
  const { visitor, grantId } = errand;
  const path = `/v1/grants/${grantId}/shorten`;
  errand.lives = false;
  try {
    await answered('the shortening', (key) => visitor.who.post(path, { endsAt }, key));
  } catch (error) {
    // asked again after a long fall, when that end has passed
    if (!String(error).includes('invalid_end')) throw error;
    await leave(errand);
  }
}

async function longer(bob: Person, errand: Errand): Promise<void> {
  const { visitor, grantId } = errand;
  const more = { durationMinutes: 10, reason: 'not done yet' };
  const path = `/v1/grants/${grantId}/extend`;
  const asked = await answered('the extension', (key) => visitor.who.post<Asked>(path, more, key));
  if (asked.grantId === null) await agree(bob, asked.id);
  errand.minutes += more.durationMinutes;
}

async function active({ visitor, grantId }: Errand): Promise<void> {
  await until(
    'it is opened',
    async () => {
      const answer = await visitor.who.get<Grant>(`/v1/grants/${grantId}?wait=active`).catch(() => undefined);
      return answer?.status === 200 && answer.body.state === 'active';
    },
    PATIENCE_MS,
  );
}

/** Logs in and stays. */
export async function visit(stage: Stage, errand: Errand, where: 'writer' | 'reader'): Promise<pg.Client | undefined> {
  if (errand.ask.mode === 'attached') return undefined;
  const endpoint = errand.ask.target === 'orders' ? { endpoint: where } : {};
  const token: LoginToken = await mint(errand.visitor.who, errand.grantId!, endpoint);
  errand.minted++;
  const session = await logIn(stage, token);
  errand.sessions.push(session);
  return session;
}
