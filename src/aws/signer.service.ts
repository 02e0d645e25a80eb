import { Inject, Injectable } from '@nestjs/common';
import { Signer } from '@aws-sdk/rds-signer';
import { DomainError } from '../platform/errors.js';
import { askAws } from './aws-fault.js';
import { ownCredentials } from './clients.js';
import { AWS_CONFIG, type AwsConfig } from './config.js';
import { SigningCredentials } from './secret.js';

export interface MintToken {
  /** The real RDS endpoint, which is what gets signed, not an alias or a tunnel. */
  readonly host: string;
  readonly port: number;
  readonly region: string;
  /** The PostgreSQL login role. */
  readonly user: string;
  /** Undefined: Usher's own credentials, for its own way into a target. */
  readonly credentials?: SigningCredentials | undefined;
  /** Now, for judging how long the credentials live. Default: the system's time, which the signature uses in any case. */
  readonly now?: Date | undefined;
}

export interface MintedToken {
  /** A bearer secret: the password of one login role on one endpoint. */
  readonly token: string;
  readonly tokenLength: number;
  /** The token's own X-Amz-Date. */
  readonly issuedAt: Date;
  /** min(issuedAt + 900 s, end of the signing credentials): RDS refuses a token whose signer has expired. */
  readonly expiresAt: Date;
}

const TOKEN_SECONDS = 900;
/** A token that dies sooner would fail between the answer and the login. */
const SHORTEST_LIFE_MS = 60_000;
const HOST = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?$/;

/** Login tokens (SigV4, service `rds-db`), signed in this process: minting asks AWS nothing and proves no permission. */
@Injectable()
export class SignerService {
  readonly #config: AwsConfig;

  constructor(@Inject(AWS_CONFIG) config: AwsConfig) {
    this.#config = config;
  }

  /** @throws DomainError invalid/`invalid_input`; unavailable/`aws_unavailable` when the credentials end within a minute */
  async mintToken(ask: MintToken): Promise<MintedToken> {
    refuse(ask);
    const credentials = ask.credentials ?? (await own(this.#config));
    const left = (credentials.expiresAt?.getTime() ?? Infinity) - (ask.now ?? new Date()).getTime();
    if (left < SHORTEST_LIFE_MS) {
      throw new DomainError(
        'unavailable',
        'aws_unavailable',
        'The credentials that would sign this token end within a minute.',
        'Try again: the next call uses fresh credentials.',
        { retryAfterSeconds: 1 },
      );
    }
    const token = await askAws({ action: 'rds-db:connect (signing)', on: ask.host }, () =>
      new Signer({
        hostname: ask.host,
        port: ask.port,
        region: ask.region,
        username: ask.user,
        credentials: identity(credentials),
      }).getAuthToken(),
    );
    const issuedAt = signedAt(token);
    const end = issuedAt.getTime() + TOKEN_SECONDS * 1_000;
    const expiresAt = new Date(Math.min(end, credentials.expiresAt?.getTime() ?? end));
    return { token, tokenLength: token.length, issuedAt, expiresAt };
  }
}

/** When the token says it was signed. Parameters are read by name: other SDKs order them otherwise. */
export const signedAt = (token: string): Date => {
  const date = new URLSearchParams(token.slice(token.indexOf('?') + 1)).get('X-Amz-Date') ?? '';
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date);
  if (!parts) throw new DomainError('unavailable', 'aws_unavailable', 'The signer gave a token without a date.');
  const [, year, month, day, hour, minute, second] = parts;
  return new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
};

const identity = (keys: SigningCredentials) => ({
  accessKeyId: keys.accessKeyId,
  secretAccessKey: keys.secretAccessKey,
  ...(keys.sessionToken === undefined ? {} : { sessionToken: keys.sessionToken }),
  ...(keys.expiresAt === undefined ? {} : { expiration: keys.expiresAt }),
});

/** Usher's own keys, asked for anew when they end before a token would: the chain renews only 5 minutes before the end. */
const own = async (config: AwsConfig): Promise<SigningCredentials> => {
  const provider = ownCredentials(config);
  const keys = await askAws({ action: 'reading credentials', on: 'the service' }, async () => {
    const known = await provider();
    const left = (known.expiration?.getTime() ?? Infinity) - Date.now();
    if (left >= TOKEN_SECONDS * 1_000) return known;
    return await provider({ forceRefresh: true }).catch(() => known);
  });
  return new SigningCredentials({ ...keys, expiresAt: keys.expiration });
};

const refuse = (ask: MintToken): void => {
  if (!HOST.test(ask.host) || !Number.isInteger(ask.port) || ask.port < 1 || ask.port > 65_535) {
    throw new DomainError('invalid', 'invalid_input', 'A token is signed for a host name and a port of 1 to 65535.');
  }
  if (ask.user.length === 0 || ask.user.length > 63 || /\p{Cc}/u.test(ask.user)) {
    throw new DomainError('invalid', 'invalid_login_name', 'A login role has 1 to 63 printable characters.');
  }
};
