/** How oidc-provider is set up: JWT access tokens for one resource server, people who log in by name, no consent page. */
import { randomBytes } from 'node:crypto';
import Provider, { errors, interactionPolicy } from 'oidc-provider';
import type { Configuration, KoaContextWithOIDC } from 'oidc-provider';
import { MemoryAdapter } from './memory-adapter.ts';
import type { MemoryStore } from './memory-adapter.ts';
import type { Person } from './people.ts';
import type { SigningKey } from './signing.ts';

export const clientId = 'usher';
/** RFC 8252: the loopback address, whatever port the client chose. */
export const redirectUri = 'http://127.0.0.1/callback';
/** The resource indicator; tokens for it carry the audience. */
export const resource = 'urn:usher';
export const resourceScope = 'usher';
export const acr = 'urn:usher:local:mfa';
export const amr: readonly string[] = ['pwd', 'mfa'];

export interface ProviderOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly accessTokenSeconds: number;
  readonly people: readonly Person[];
  readonly key: SigningKey;
}

export function createProvider(options: ProviderOptions): Provider {
  const provider: Provider = new Provider(options.issuer, {
    ...configuration(options),
    loadExistingGrant: (ctx) => grantEverything(provider, ctx),
  });
  provider.on('server_error', (_ctx, error) => console.error('local oidc: a request failed unexpectedly', error));
  return provider;
}

/** Everything that oidc-provider would otherwise warn about is given a value of our own: adapter, keys, life times, pages. */
function configuration({ audience, accessTokenSeconds, people, key }: ProviderOptions): Configuration {
  const store: MemoryStore = new Map();
  const policy = interactionPolicy.base();
  policy.remove('consent');
  return {
    adapter: (model: string) => new MemoryAdapter(model, store),
    clients: [
      {
        client_id: clientId,
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        redirect_uris: [redirectUri],
        grant_types: ['authorization_code'],
        response_types: ['code'],
      },
    ],
    jwks: { keys: [key.privateJwk] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    scopes: ['openid', 'profile', 'email'],
    claims: { openid: ['sub'], email: ['email'], profile: ['name', 'preferred_username', 'groups'] },
    acrValues: [acr],
    interactions: { policy, url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, indicator) => {
          if (indicator !== resource) throw new errors.InvalidTarget();
          return {
            scope: resourceScope,
            audience,
            accessTokenFormat: 'jwt',
            accessTokenTTL: accessTokenSeconds,
            jwt: { sign: { alg: 'RS256' } },
          };
        },
      },
    },
    ttl: { AccessToken: accessTokenSeconds, IdToken: 3600, Interaction: 600, Session: 28_800, Grant: 28_800 },
    clientBasedCORS: () => false,
    renderError: (ctx, out) => {
      ctx.type = 'json';
      ctx.body = JSON.stringify(out);
    },
    findAccount: (_ctx, sub) => {
      const found = people.find(({ subject }) => subject === sub);
      return found && { accountId: sub, claims: () => ({ ...personClaims(found), sub }) };
    },
    extraTokenClaims: (ctx, token) => {
      if (token.kind !== 'AccessToken') return undefined;
      const found = people.find(({ subject }) => subject === token.accountId);
      return found && { ...personClaims(found), ...authenticationClaims(ctx) };
    },
  };
}

/** What a token says of a person, beside `sub`. */
export const personClaims = ({ name, email, groups, awsPrincipal }: Person) => ({
  name,
  email,
  preferred_username: name,
  groups: [...groups],
  ...(awsPrincipal === undefined ? {} : { aws_principal: awsPrincipal }),
});

/** When and how the person proved who he is, as the code that is being redeemed recorded it. */
function authenticationClaims(ctx: KoaContextWithOIDC) {
  const code = ctx.oidc.entities.AuthorizationCode;
  return { auth_time: code?.authTime, acr: code?.acr, amr: code?.amr };
}

/** Nobody is asked for consent: the only client is the company's own. */
async function grantEverything(provider: Provider, ctx: KoaContextWithOIDC) {
  const accountId = ctx.oidc.session?.accountId;
  const client = ctx.oidc.client?.clientId;
  if (accountId === undefined || client === undefined) return undefined;
  const grant = new provider.Grant({ accountId, clientId: client });
  grant.addOIDCScope('openid profile email');
  grant.addResourceScope(resource, resourceScope);
  await grant.save();
  return grant;
}
