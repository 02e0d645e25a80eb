/** Usher's public REST API, as far as the demo calls it: over HTTP, as anybody's script would. */
import { randomUUID } from 'node:crypto';

export type PersonName = 'alice' | 'bob' | 'carol' | 'dave';

export interface Target {
  id: string;
  name: string;
  endpoints: { kind: string; connectHost: string; port: number }[];
  databases: string[];
}
export interface Profile {
  id: string;
  name: string;
}
export interface Plan {
  login: string;
  statements: { call: string; sql: string; parameters: { name: string; value: string }[]; effects: string[] }[];
  policy: Record<string, unknown>;
  policyAppliesTo: string;
}
export interface Preview {
  decision: { allowed: boolean; autoApproved: boolean; approvalsNeeded: number; policies: string[] };
  plan: Plan | null;
}
export interface AccessRequest {
  id: string;
  state: string;
  personId: string;
  reason: string;
  grantId: string | null;
}
export interface Grant {
  id: string;
  state: string;
  login: string;
  endsAt: string;
  principalArn: string | null;
  lastError: string | null;
}
export interface LoginToken {
  token: string;
  tokenLength: number;
  expiresAt: string;
  host: string;
  port: number;
  database: string;
  user: string;
  tls: { mode: string; servername: string; authority: string; caBundleUrl: string; caIdentifier: string | null };
  recipes: { client: string; text: string; notes: string[] }[];
}
export interface Connection {
  login: string;
  database: string | null;
  tlsVersion: string | null;
  applicationName: string | null;
  personId: string | null;
  grantId: string | null;
  startedAt: string;
}
export interface AuditEvent {
  at: string;
  actorName: string;
  action: string;
  outcome: string;
  requestId: string | null;
  grantId: string | null;
  code: string | null;
  details: string;
}
export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

/** An answer that is not 2xx, with the stable code of its problem details. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: number;
  readonly code: string;
  readonly advice: string | undefined;

  constructor(call: string, status: number, body: Readonly<Record<string, unknown>>) {
    super(`${call} answered ${status}: ${String(body['code'])}: ${String(body['detail'] ?? body['title'])}`);
    this.status = status;
    this.code = String(body['code']);
    this.advice = typeof body['advice'] === 'string' ? body['advice'] : undefined;
  }
}

export interface Client {
  /** @throws Problem */
  get<T>(path: string): Promise<T>;
  /** Sent with a new Idempotency-Key, unless one is given. @throws Problem */
  post<T>(path: string, body?: unknown, key?: string): Promise<T>;
}

/** Longer than the API's own long poll of 30 s. */
const TIMEOUT_MS = 40_000;

export function clientOf(api: string, token: string | undefined): Client {
  const call = async <T>(method: string, path: string, body?: unknown, key?: string): Promise<T> => {
    const answer = await fetch(`${api}${path}`, {
      method,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(key === undefined ? {} : { 'idempotency-key': key }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const content = parse(await answer.text());
    if (!answer.ok) throw new Problem(`${method} ${path.split('?')[0]}`, answer.status, content);
    return content as T;
  };
  return {
    get: (path) => call('GET', path),
    post: (path, body = {}, key = randomUUID()) => call('POST', path, body, key),
  };
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return { code: 'not JSON', detail: text.slice(0, 200) };
  }
}

/** The refusal of a call that must be refused. @throws Error when it was not */
export async function problemOf(attempt: Promise<unknown>): Promise<Problem> {
  const thrown: unknown = await attempt.then(
    () => new Error('expected a refusal, but the call went through'),
    (error: unknown) => error,
  );
  if (thrown instanceof Problem) return thrown;
  throw thrown;
}
