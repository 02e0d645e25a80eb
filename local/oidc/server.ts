/** A real OpenID provider on loopback: discovery, JWKS, the code flow with PKCE, and a log-in page that knows four people. */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type Provider from 'oidc-provider';
import { logIn } from './code-flow.ts';
import { defaultPeople } from './people.ts';
import type { Person } from './people.ts';
import { acr, amr, clientId, createProvider, personClaims, redirectUri, resource, resourceScope } from './provider.ts';
import { createSigningKey, signJwt } from './signing.ts';
import type { SigningKey, SignOptions } from './signing.ts';

export interface OidcOptions {
  /** Default: any free port. */
  readonly port?: number;
  readonly people?: readonly Person[];
  /** Default `usher`. */
  readonly audience?: string;
  /** Life of an access token. Default 3,600. */
  readonly accessTokenSeconds?: number;
  /** Clock of the tokens that are signed without the flow; the provider itself keeps the real time. */
  readonly now?: () => Date;
}

/** Any of these makes a token without the flow, signed with the provider's own key. */
export interface TokenOverrides {
  /** Seconds from now; negative for a token that has expired. */
  readonly expiresIn?: number;
  readonly audience?: string | readonly string[];
  readonly issuer?: string;
  /** Added to, or in place of, the person's claims; an undefined value takes the claim out. */
  readonly claims?: Readonly<Record<string, unknown>>;
}

export interface OidcStandIn {
  /** `http://localhost:{port}` */
  readonly issuer: string;
  readonly audience: string;
  readonly people: readonly Person[];
  readonly keys: SigningKey;
  /** The client's registration, for a code flow of one's own. */
  readonly client: { readonly clientId: string; readonly redirectUri: string; readonly resource: string };
  /** An access token by the real flow; with overrides, one signed beside it. @throws Error for a name nobody has */
  tokenFor(name: string, overrides?: TokenOverrides): Promise<string>;
  /** The claims that {@link tokenFor} would sign with these overrides. */
  claimsOf(name: string, overrides?: TokenOverrides): Record<string, unknown>;
  /** Signs any claims any way: `alg: none`, HS256 with the public key, a foreign key. */
  signWith(claims: Readonly<Record<string, unknown>>, options?: SignOptions): string;
  close(): Promise<void>;
}

export async function startOidc(options: OidcOptions = {}): Promise<OidcStandIn> {
  const server = createServer();
  const issuer = `http://localhost:${await listen(server, options.port ?? 0)}`;
  const people = options.people ?? defaultPeople;
  const audience = options.audience ?? 'usher';
  const accessTokenSeconds = options.accessTokenSeconds ?? 3600;
  const key = createSigningKey();
  const provider = createProvider({ issuer, audience, accessTokenSeconds, people, key });
  const answer = provider.callback();
  server.on('request', (request, response) => {
    if (request.url?.startsWith('/interaction/')) void interact(provider, people, request, response);
    else void answer(request, response);
  });
  const claimsOf = (name: string, overrides: TokenOverrides = {}): Record<string, unknown> => {
    const now = Math.floor((options.now?.() ?? new Date()).getTime() / 1000);
    return tokenClaims(personNamed(people, name), overrides, { issuer, audience, accessTokenSeconds, now });
  };
  const flow = { issuer, clientId, redirectUri, scope: `openid ${resourceScope}`, resource };
  return {
    issuer,
    audience,
    people,
    keys: key,
    client: { clientId, redirectUri, resource },
    tokenFor: async (name, overrides) =>
      overrides === undefined
        ? (await logIn(flow, personNamed(people, name).name)).accessToken
        : signJwt(claimsOf(name, overrides), key),
    claimsOf,
    signWith: (claims, how) => signJwt(claims, key, how),
    close: () => close(server),
  };
}

function personNamed(people: readonly Person[], name: string): Person {
  const found = people.find((person) => person.name === name);
  if (found === undefined) throw new Error(`the local provider knows nobody called ${name}`);
  return found;
}

function tokenClaims(
  person: Person,
  overrides: TokenOverrides,
  base: { issuer: string; audience: string; accessTokenSeconds: number; now: number },
): Record<string, unknown> {
  const expiresIn = overrides.expiresIn ?? base.accessTokenSeconds;
  const issuedAt = Math.min(base.now, base.now + expiresIn - 1);
  return {
    iss: overrides.issuer ?? base.issuer,
    aud: overrides.audience ?? base.audience,
    sub: person.subject,
    client_id: clientId,
    scope: resourceScope,
    jti: randomUUID(),
    iat: issuedAt,
    exp: base.now + expiresIn,
    auth_time: issuedAt,
    acr,
    amr,
    ...personClaims(person),
    ...overrides.claims,
  };
}

async function interact(
  provider: Provider,
  people: readonly Person[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const { params, uid } = await provider.interactionDetails(request, response);
    const chosen = new URL(request.url ?? '/', 'http://localhost').searchParams.get('as') ?? params['login_hint'];
    const person = people.find(({ name }) => name === chosen);
    if (person === undefined) {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(loginPage(uid, people));
      return;
    }
    await provider.interactionFinished(request, response, {
      login: { accountId: person.subject, acr, amr: [...amr], remember: false },
    });
  } catch {
    // The cookie or the interaction is gone: nothing but starting over helps.
    response.writeHead(400, { 'content-type': 'text/plain' }).end('This log-in is over. Start again.');
  }
}

const loginPage = (uid: string, people: readonly Person[]): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Log in</title></head>
<body><h1>Log in as</h1><ul>${people
  .map(({ name }) => `<li><a href="/interaction/${uid}?as=${encodeURIComponent(name)}">${name}</a></li>`)
  .join('')}</ul></body></html>`;

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.close((error) => (error === undefined ? resolve() : reject(error)));
    // Kept-alive connections of clients would hold the shutdown back.
    server.closeAllConnections();
  });
}
