/** Logging in as a person would, with node-postgres: TLS verified against the bundle that the API names. */
import { execFileSync, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { LoginToken } from './demo-api.ts';

/** @param more in place of what the token's answer says */
export async function logIn(token: LoginToken, more: pg.ClientConfig = {}): Promise<pg.Client> {
  const { host, port, database, user, tls } = token;
  const client = new pg.Client({
    ...{ host, port, database, user, password: token.token },
    ssl: { ca: await bundleAt(tls.caBundleUrl), servername: tls.servername },
    application_name: 'demo',
    connectionTimeoutMillis: 15_000,
    ...more,
  });
  client.on('error', () => undefined); // that a session is cut is what the demo is about
  await client.connect();
  return client;
}

/** PEM, fetched anew each time: what is served at that URL is part of what is shown. */
export async function bundleAt(url: string): Promise<string> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
  return answer.text();
}

/** Why a login that must fail did: the server's SQLSTATE or the TLS error, and the message. @throws Error when it did not */
export async function whyRefused(attempt: Promise<pg.Client>): Promise<string> {
  const client = await attempt.catch((error: unknown) => error);
  if (client instanceof pg.Client) {
    await client.end();
    throw new Error('the login should have been refused, but went through');
  }
  if (!(client instanceof Error)) throw client;
  const code = 'code' in client ? String(client.code) : '';
  // SQLSTATE class 28, an OpenSSL code, or a name that does not match: never just a broken line
  if (!/^(28|SELF_SIGNED|UNABLE_TO|CERT_|DEPTH_|ERR_TLS)/.test(code)) throw client;
  return `${code} ${client.message}`;
}

/** Asks again until something is there. @throws Error after 20 s */
export async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`not within 20 s: ${what}`);
    await delay(50);
  }
}

/** A real psql that can run the recipe is on this machine: its version. */
export function psqlVersion(): string | undefined {
  try {
    execFileSync('curl', ['--version'], { stdio: 'ignore' });
    return execFileSync('psql', ['--version'], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

/**
 * Runs the psql recipe verbatim in a shell, by its standard input: an argument could be read by others on the machine.
 * @param home where the recipe keeps the CA bundle
 */
export async function runPsql(recipe: string, options: string, home: string): Promise<string> {
  const environment = { PATH: process.env['PATH'], HOME: home, PSQLRC: '/dev/null', PAGER: 'cat' };
  const shell = spawn('sh', ['-s'], { env: environment, stdio: ['pipe', 'pipe', 'pipe'] });
  const output = { out: '', err: '' };
  shell.stdout.setEncoding('utf8').on('data', (text: string) => (output.out += text));
  shell.stderr.setEncoding('utf8').on('data', (text: string) => (output.err += text));
  shell.stdin.end(`${recipe} ${options}\n`);
  const code = await new Promise((resolve) => shell.once('close', resolve));
  if (code !== 0) throw new Error(`psql ended with ${String(code)}: ${output.err.trim()}`);
  return output.out.trimEnd();
}
