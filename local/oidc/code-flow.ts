/** Logs a person in over HTTP as a browser would: authorization code with PKCE, redirects and cookies followed by hand. */
import { createHash, randomBytes } from 'node:crypto';

export interface CodeFlow {
  readonly issuer: string;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly scope: string;
  /** RFC 8707 resource indicator. */
  readonly resource: string;
}

export interface FlowTokens {
  readonly accessToken: string;
  readonly idToken: string;
  /** Seconds. */
  readonly expiresIn: number;
}

const maxRedirects = 10;

/** @throws Error that names the step at which the provider refused */
export async function logIn(flow: CodeFlow, loginHint: string): Promise<FlowTokens> {
  const verifier = randomBytes(32).toString('base64url');
  const state = randomBytes(16).toString('base64url');
  const start = new URL(`${flow.issuer}/auth`);
  start.search = new URLSearchParams({
    client_id: flow.clientId,
    response_type: 'code',
    redirect_uri: flow.redirectUri,
    scope: flow.scope,
    resource: flow.resource,
    state,
    nonce: randomBytes(16).toString('base64url'),
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    login_hint: loginHint,
  }).toString();
  const answer = await followToRedirectUri(start, flow.redirectUri);
  const code = answer.searchParams.get('code');
  if (code === null || answer.searchParams.get('state') !== state)
    throw new Error(`the provider refused to log ${loginHint} in: ${answer.searchParams.get('error_description')}`);
  return redeem(flow, code, verifier);
}

async function followToRedirectUri(start: URL, redirectUri: string): Promise<URL> {
  const cookies = new Map<string, string>();
  let url = start;
  for (let hops = 0; hops < maxRedirects; hops++) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { redirect: 'manual', headers: { cookie } });
    await response.arrayBuffer();
    for (const line of response.headers.getSetCookie()) keepCookie(cookies, line);
    const location = response.headers.get('location');
    if (location === null) throw new Error(`expected a redirect from ${url.pathname}, got status ${response.status}`);
    url = new URL(location, url);
    if (url.href.startsWith(redirectUri)) return url;
  }
  throw new Error('the provider redirects in circles');
}

function keepCookie(cookies: Map<string, string>, line: string): void {
  const [pair = ''] = line.split(';', 1);
  const equals = pair.indexOf('=');
  const value = pair.slice(equals + 1);
  if (value === '') cookies.delete(pair.slice(0, equals));
  else cookies.set(pair.slice(0, equals), value);
}

async function redeem(flow: CodeFlow, code: string, verifier: string): Promise<FlowTokens> {
  const response = await fetch(`${flow.issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: flow.clientId,
      redirect_uri: flow.redirectUri,
      code,
      code_verifier: verifier,
      resource: flow.resource,
    }),
  });
  const body: unknown = await response.json();
  const text = (name: string): string => {
    const value: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined;
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  };
  if (!response.ok) throw new Error(`the token endpoint refused: ${text('error_description')}`);
  return { accessToken: text('access_token'), idToken: text('id_token'), expiresIn: Number(text('expires_in')) };
}
