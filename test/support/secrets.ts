/**
 * Every secret that tests hand to Usher, or get from it, and the search for them in what it writes: lines of the log, refusals,
 * metrics, its database. The support searches at the end of each Usher and of each database, so that whatever any test does
 * proves this as well.
 */

/** Characters out of the middle of a secret that are looked for: so many random ones nobody writes by accident. */
const MARK = 20;
/** By the mark: what it is of. */
const marks = new Map<string, string>();

/** @param secret random throughout; one shorter than 20 characters is not looked for */
export function keepSecret(what: string, secret: string): void {
  for (const form of [secret, encodeURIComponent(secret)])
    if (form.length >= MARK) marks.set(form.slice(Math.floor((form.length - MARK) / 2)).slice(0, MARK), what);
}

/** Of what goes into an Authorization header: an access token's signature, an API key. What is neither is no secret. */
export function keepCredential(credential: string): void {
  const [, key] = /^usher_[a-z0-9]+_([0-9A-Za-z]+)$/.exec(credential) ?? [];
  const [, signature] = /^[\w-]+\.[\w-]+\.([\w-]+)$/.exec(credential) ?? [];
  if (key !== undefined) keepSecret('an API key', key);
  if (signature !== undefined) keepSecret('an access token', signature);
}

/** Of a login token, what in it is secret by itself. */
export function keepLoginToken(token: string): void {
  const query = new URLSearchParams(token.slice(token.indexOf('?') + 1));
  for (const name of ['X-Amz-Signature', 'X-Amz-Security-Token']) keepSecret(name, query.get(name) ?? '');
}

/** Of an answer that gives a secret away on purpose, in either API. */
export function keepAnswered(json: string): void {
  if (!/"(?:token|password|key)":"/.test(json)) return;
  JSON.parse(json, (name: string, value: unknown): unknown => {
    if (typeof value !== 'string') return value;
    if (name === 'token') keepLoginToken(value);
    if (name === 'password') keepSecret('a password', value);
    if (name === 'key') keepCredential(value);
    return value;
  });
}

/** What nobody had to tell us of. */
export const SHAPES: Readonly<Record<string, RegExp>> = {
  'a JWT': /eyJ[\w-]{5,}\.eyJ[\w-]{5,}\.[\w-]*/,
  'a login token': /X-Amz-(Signature|Security-Token)(=|%3D)/i,
  'a verifier': /SCRAM-SHA-256\$\d+:/,
  'an API key': /usher_[a-z0-9]{12}_[0-9A-Za-z]{49}/,
  'a password in a URL': /postgres(ql)?:\/\/[^/\s:]+:[^@\s]+@/,
};

/** What is in a text that must not be, each once and in words. */
export function secretsIn(text: string): string[] {
  const found = new Set<string>();
  for (const [run] of text.matchAll(/[\w+/=%.~-]{20,}/g))
    for (let at = 0; at + MARK <= run.length; at++) {
      const what = marks.get(run.slice(at, at + MARK));
      if (what !== undefined) found.add(what);
    }
  for (const [what, shape] of Object.entries(SHAPES)) if (shape.test(text)) found.add(what);
  return [...found];
}

/** @throws Error that names the place and what was found there, and never the secret */
export function refuseSecrets(place: string, text: string): void {
  const found = secretsIn(text);
  if (found.length > 0) throw new Error(`${place} holds ${found.join(', ')}`);
}
