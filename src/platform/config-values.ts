/** How one setting is read out of an environment: what it may be, and what is said of what it may not. */
import { readFileSync } from 'node:fs';
import { serviceMarks } from './oidc-providers.js';
import { isNetwork } from './outbound.js';
import { Secret } from './secret.js';

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

export const text = (env: Environment, name: string): string | undefined => {
  const value = env[name]?.trim();
  return value === '' ? undefined : value;
};

/** Prints as `[secret]`, wherever the settings go. */
export function secret(env: Environment, name: string): Secret | undefined {
  const value = text(env, name);
  return value === undefined ? undefined : new Secret(value);
}

export function required(env: Environment, name: string, why: string): string {
  const value = text(env, name);
  if (value === undefined) throw new ConfigError(`${name} is not set: ${why} (see .env.example)`);
  return value;
}

export function integer(env: Environment, name: string, fallback: number, min: number, max: number): number {
  const value = text(env, name);
  if (value === undefined) return fallback;
  const number = Number(value);
  if (!Number.isInteger(number) || number < min || number > max)
    throw new ConfigError(`${name} must be a whole number from ${min} to ${max}`);
  return number;
}

export function flag(env: Environment, name: string, fallback: boolean): boolean {
  const value = text(env, name);
  if (value === undefined) return fallback;
  if (value !== 'true' && value !== 'false') throw new ConfigError(`${name} must be true or false`);
  return value === 'true';
}

/** What comes from there is believed because of its TLS; on this machine nobody is between. */
export function address(env: Environment, name: string): string | undefined {
  const value = text(env, name);
  if (value === undefined) return undefined;
  const url = URL.parse(value);
  const loopback = url !== null && /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(url.hostname);
  if (url !== null && url.username === '' && (url.protocol === 'https:' || (url.protocol === 'http:' && loopback)))
    return value;
  throw new ConfigError(`${name} must be an https address (http on loopback only)`);
}

export const list = (env: Environment, name: string): string[] =>
  (text(env, name) ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');

/** As browsers send them: scheme, host and port, nothing behind. */
export function origins(env: Environment, name: string): string[] {
  const given = list(env, name);
  for (const one of given)
    if (URL.parse(one)?.origin !== one || one.includes('*'))
      throw new ConfigError(`${name} must be origins like https://portal.example.com, by comma; not ${one}`);
  return given;
}

export function networks(env: Environment, name: string): string[] {
  const given = list(env, name);
  for (const one of given)
    if (!isNetwork(one)) throw new ConfigError(`${name} must be networks like 10.0.0.0/8, by comma; not ${one}`);
  return given;
}

/** By name: what is so many hours from UTC knows no summer time. */
export function timeZone(env: Environment, name: string): string {
  const zone = text(env, name) ?? 'UTC';
  try {
    const { timeZone: known } = new Intl.DateTimeFormat('en-US', { timeZone: zone }).resolvedOptions();
    if (!/^[+-]/.test(known)) return known;
  } catch {
    // no zone, as below
  }
  throw new ConfigError(`${name} must be the name of a time zone, such as Europe/Berlin; not ${zone}`);
}

/** Base64 of random bytes, by comma or line: in the variable, or in the file that the same name with `_FILE` names. */
export function keys(env: Environment, name: string): Secret[] {
  const file = text(env, `${name}_FILE`);
  let given = text(env, name) ?? '';
  if (file !== undefined && given !== '')
    throw new ConfigError(`${name} and ${name}_FILE are both set: only one of them can be used`);
  try {
    if (file !== undefined) given = readFileSync(file, 'utf8');
  } catch {
    throw new ConfigError(`${name}_FILE cannot be read`);
  }
  const found = given.split(/[\s,]+/).filter((one) => one !== '');
  if (!found.every((one) => /^[A-Za-z0-9+/]{43,}={0,2}$/.test(one)))
    throw new ConfigError(`${name} must be the base64 of 32 random bytes or more: openssl rand -base64 32`);
  return found.map((one) => new Secret(one));
}

export function oneOf<T extends string>(env: Environment, name: string, fallback: T, words: readonly T[]): T {
  const value = text(env, name) ?? fallback;
  const word = words.find((known) => known === value);
  if (word === undefined) throw new ConfigError(`${name} must be ${words.join(' or ')}`);
  return word;
}

/** Words separated by commas. */
export function words(env: Environment, name: string): string[] | undefined {
  const value = text(env, name);
  if (value === undefined) return undefined;
  const found = value.split(',').flatMap((word) => (word.trim() === '' ? [] : [word.trim()]));
  if (found.length === 0) throw new ConfigError(`${name} must be words separated by commas`);
  return found;
}

export function marks(env: Environment, name: string): readonly string[] | undefined {
  try {
    return serviceMarks(words(env, name));
  } catch (error) {
    throw error instanceof ConfigError ? error : new ConfigError(`${name}: ${(error as Error).message}`);
  }
}

/** What JSON says, or a file with JSON in it that is named instead. */
export function document<T>(env: Environment, name: string, unset: T, read: (parsed: unknown) => T): T {
  const given = text(env, name);
  if (given === undefined) return unset;
  try {
    return read(JSON.parse(/^[{[]/.test(given) ? given : readFileSync(given, 'utf8')));
  } catch (error) {
    throw new ConfigError(`${name} cannot be used: ${error instanceof Error ? error.message : String(error)}`);
  }
}
