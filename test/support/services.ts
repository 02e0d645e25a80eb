import { expect, onTestFinished } from 'vitest';
import { claimsOf, known, newName } from './people.ts';
import type { Answer, Client, Usher } from './usher.ts';

export interface MadeService {
  id: string;
  name: string;
  keyId: string;
  key: string;
  /** Calls for itself. */
  alone: Client;
  /** Calls for a person, by id or e-mail, and with an access token of theirs where one is given. */
  for(name: string | undefined, token?: string): Client;
}

/** A service with a key for these actions, registered by an administrator. */
export async function newService(
  usher: Usher,
  scopes: readonly string[],
  more: Record<string, unknown> = {},
): Promise<MadeService> {
  const admin = await known(usher, 'dave');
  const name = newName('service');
  const { status, body } = await admin.post<{ id: string }>('/v1/services', {
    ...{ name, description: 'made up for a test' },
    ...more,
  });
  if (status !== 201) throw new Error(`the service was refused: ${JSON.stringify(body)}`);
  const { key, apiKey } = await newKey(usher, body.id, scopes);
  const headersOf = (person: string | undefined, token: string | undefined): Record<string, string> => ({
    ...(person !== undefined && { 'usher-on-behalf-of': person }),
    ...(token !== undefined && { 'usher-on-behalf-of-token': token }),
  });
  return {
    ...{ id: body.id, name, keyId: apiKey.id, key },
    alone: usher.withToken(key),
    for: (person, token) => usher.withToken(key, headersOf(person, token)),
  };
}

export interface MadeKey {
  key: string;
  apiKey: { id: string; prefix: string; expiresAt: string; scopes: string[]; replacesId: string | null };
}

export async function newKey(usher: Usher, serviceId: string, scopes: readonly string[]): Promise<MadeKey> {
  const admin = await known(usher, 'dave');
  const { status, body } = await admin.post<MadeKey>(`/v1/services/${serviceId}/keys`, { scopes });
  if (status !== 201) throw new Error(`the key was refused: ${JSON.stringify(body)}`);
  return body;
}

export interface Seen {
  id: string;
  email: string;
  token: string;
  client: Client;
}

/** Somebody made up who has called once, so that a service may name them. */
export async function seen(
  usher: Usher,
  groups: readonly string[] = ['engineers'],
  more: Record<string, unknown> = {},
): Promise<Seen> {
  const name = newName();
  const claims = claimsOf(usher, name, groups, more);
  const token = usher.standIn.oidc.signWith(claims);
  const client = usher.withToken(token);
  await client.get('/v1/targets');
  const { id } = await usher.db.client.person.findFirstOrThrow({ where: { subject: `sub-${name}` } });
  return { id, email: String(claims['email']), token, client };
}

/** Moves the time until the end of the test: targets live in the time that is, and open nothing that ends days ahead of it. */
export function later(usher: Usher, milliseconds: number): void {
  usher.clock.move(milliseconds);
  onTestFinished(() => usher.clock.move(-milliseconds));
}

export const refused = ({ status, body }: Answer, ...expected: [status: number, code: string]): void =>
  expect([status, body['code']], JSON.stringify(body)).toEqual(expected);

/** What a call left on record, read past the application. */
export async function linesOf(usher: Usher, answer: Answer): Promise<Record<string, unknown>[]> {
  const { rows } = await usher.database.owner.query<Record<string, unknown>>(
    'SELECT * FROM audit_event WHERE correlation_id = $1 ORDER BY id',
    [answer.headers.get('x-correlation-id')],
  );
  return rows;
}
