/** One OpenID provider whose access tokens are accepted, and how they are read. */
export interface OidcProvider {
  readonly issuer: string;
  readonly audience: string;
  readonly algorithms: readonly string[];
  readonly clockToleranceSeconds: number;
  readonly groupsClaim: string;
  /** Put before each of its groups, so that they are no other provider's; undefined: taken as they are. */
  readonly groupsPrefix: string | undefined;
  /** Undefined: what it says of IAM users and roles is not believed. */
  readonly awsPrincipalClaim: string | undefined;
  /** Clients (`azp`, `client_id`) whose tokens are accepted; undefined: those of any client for this audience. */
  readonly authorizedParties: readonly string[] | undefined;
  /** How tokens that stand for a client are told, to be a service: see {@link markForm}; undefined: none of its clients is one. */
  readonly serviceTokens: readonly string[] | undefined;
  /** The client as which a command line signs people in. */
  readonly cliClientId: string | undefined;
  readonly cliScope: string;
}

/** What is not said of a provider. */
export const oidcDefaults = {
  audience: 'usher',
  algorithms: ['RS256', 'ES256', 'EdDSA'],
  clockToleranceSeconds: 30,
  groupsClaim: 'groups',
  cliScope: 'openid',
} as const;

type Given = Readonly<Record<string, unknown>>;

const known = new Set([
  ...['issuer', 'audience', 'algorithms', 'clockToleranceSeconds', 'groups', 'groupsClaim', 'groupsPrefix'],
  ...['awsPrincipalClaim', 'authorizedParties', 'serviceTokens', 'cliClientId', 'cliScope'],
]);

/** Ends with its only separator, so that no prefix and group of one provider can spell those of another. */
const prefixForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}[:/]$/;

/** `subject`, where the token's subject is the client; a claim that only such tokens have; or a claim and its value. */
const markForm = /^[A-Za-z0-9_.:/-]{1,128}(=[^=\s,][^\s,]{0,254})?$/;

/** @throws Error that names the mark that is none */
export function serviceMarks(marks: readonly string[] | undefined): readonly string[] | undefined {
  const wrong = marks?.find((mark) => !markForm.test(mark));
  if (wrong === undefined) return marks;
  throw new Error(`${wrong} is neither subject, nor a claim, nor a claim and its value like gty=client-credentials`);
}

/**
 * The providers beside the first, as OIDC_PROVIDERS lists them. Each must say whose its groups are: a provider that may name
 * the group `admins` makes administrators.
 * @throws Error that says which provider, and what is wrong with it
 */
export function parseProviders(parsed: unknown): OidcProvider[] {
  if (!Array.isArray(parsed)) throw new Error('it must be a JSON list of providers');
  const providers = parsed.map(parseProvider);
  const prefixes = providers.flatMap(({ groupsPrefix }) => groupsPrefix ?? []);
  const twice = prefixes.find((prefix, index) => prefixes.indexOf(prefix) !== index);
  if (twice !== undefined) throw new Error(`two providers have the groupsPrefix ${twice}`);
  return providers;
}

/** @throws Error when two providers are one: by issuer, and a slash at its end makes no other */
export function refuseSameIssuer(providers: readonly Pick<OidcProvider, 'issuer'>[]): void {
  const issuers = providers.map(({ issuer }) => issuer.replace(/\/$/, ''));
  const twice = issuers.find((issuer, index) => issuers.indexOf(issuer) !== index);
  if (twice !== undefined) throw new Error(`the issuer ${twice} is there twice`);
}

function parseProvider(given: unknown, index: number): OidcProvider {
  const place = `provider ${index + 1}`;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new Error(`${place} is no object`);
  const fields = given as Given;
  const unknown = Object.keys(fields).find((name) => !known.has(name));
  if (unknown !== undefined) throw new Error(`${place}: nothing is called ${unknown}`);
  const issuer = text(fields, 'issuer', place);
  if (issuer === undefined) throw new Error(`${place} has no issuer`);
  return {
    issuer,
    audience: text(fields, 'audience', place) ?? oidcDefaults.audience,
    algorithms: texts(fields, 'algorithms', place) ?? oidcDefaults.algorithms,
    clockToleranceSeconds: seconds(fields, 'clockToleranceSeconds', place) ?? oidcDefaults.clockToleranceSeconds,
    groupsClaim: text(fields, 'groupsClaim', place) ?? oidcDefaults.groupsClaim,
    groupsPrefix: prefixOf(fields, place),
    awsPrincipalClaim: text(fields, 'awsPrincipalClaim', place),
    authorizedParties: texts(fields, 'authorizedParties', place),
    serviceTokens: marksOf(fields, place),
    cliClientId: text(fields, 'cliClientId', place),
    cliScope: text(fields, 'cliScope', place) ?? oidcDefaults.cliScope,
  };
}

function marksOf(fields: Given, place: string): readonly string[] | undefined {
  try {
    return serviceMarks(texts(fields, 'serviceTokens', place));
  } catch (error) {
    throw new Error(`${place}: serviceTokens: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function prefixOf(fields: Given, place: string): string | undefined {
  const prefix = text(fields, 'groupsPrefix', place);
  const groups = fields['groups'];
  if (groups === 'same' && prefix === undefined) return undefined;
  if (groups !== undefined || prefix === undefined) {
    throw new Error(
      `${place} must have either a groupsPrefix, which is put before its groups, or "groups": "same" where it may name ` +
        'any group there is, that of the administrators too',
    );
  }
  if (!prefixForm.test(prefix))
    throw new Error(`${place}: groupsPrefix is 1 to 63 letters, digits, dots and dashes, and one : or / at the end`);
  return prefix;
}

function text(fields: Given, name: string, place: string): string | undefined {
  const value = fields[name];
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value.trim() !== '') return value.trim();
  throw new Error(`${place}: ${name} must be a text`);
}

function texts(fields: Given, name: string, place: string): readonly string[] | undefined {
  const value = fields[name];
  if (value === undefined) return undefined;
  const list: readonly unknown[] = Array.isArray(value) ? value : [];
  const found = list.flatMap((one) => (typeof one === 'string' && one.trim() !== '' ? [one.trim()] : []));
  if (found.length > 0 && found.length === list.length) return found;
  throw new Error(`${place}: ${name} must be a list of texts, and not an empty one`);
}

function seconds(fields: Given, name: string, place: string): number | undefined {
  const value = fields[name];
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 300) return value;
  throw new Error(`${place}: ${name} must be a whole number from 0 to 300`);
}
