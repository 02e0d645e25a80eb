import { constants } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import { sep } from 'node:path';
import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { DomainError } from '../platform/errors.js';
import { askAws } from './aws-fault.js';
import { AccountClients, AwsAccounts, type AccountPlace } from './accounts.js';
import type { ClientSettings } from './clients.js';
import { AWS_CONFIG, type AwsConfig } from './config.js';
import { Secret } from '../platform/secret.js';

const ENV = /^env:(USHER_SECRET_[A-Z0-9_]{1,100})$/;
const FILE = /^file:(\/.{1,1000})$/;
const SECRET_ARN =
  /^arn:(?<partition>aws(?:-[a-z]+)*):secretsmanager:(?<region>[a-z0-9-]+):(?<accountId>[0-9]{12}):secret:[\w/+=.@-]{1,600}$/;
const LARGEST_FILE = 65_536;

/** Secrets, read at use and never kept: from the environment, a file or AWS Secrets Manager. */
@Injectable()
export class SecretsService implements OnApplicationShutdown {
  readonly #config: AwsConfig;
  readonly #clients: AccountClients<SecretsManagerClient>;

  constructor(@Inject(AWS_CONFIG) config: AwsConfig, accounts: AwsAccounts) {
    this.#config = config;
    // a secret's own policy may let Usher's principal read it from another account
    const build = (settings: ClientSettings): SecretsManagerClient => new SecretsManagerClient(settings);
    this.#clients = new AccountClients(accounts, 'secretsmanager', build, 'own-credentials');
  }

  /**
   * @param reference `env:USHER_SECRET_…`, `file:/…` inside the secrets directory, or the ARN of a secret that holds
   *   the password as plain text or as `{"password": …}`
   * @throws DomainError invalid/`invalid_input` for a reference outside these; unavailable for a secret that is not there
   */
  async read(reference: string): Promise<Secret> {
    const variable = ENV.exec(reference)?.[1];
    if (variable !== undefined) return this.#fromEnvironment(variable);
    const path = FILE.exec(reference)?.[1];
    if (path !== undefined) return await this.#fromFile(path);
    const { partition, region, accountId } = SECRET_ARN.exec(reference)?.groups ?? {};
    if (partition !== undefined && region !== undefined && accountId !== undefined)
      return await this.#fromSecretsManager({ partition, region, accountId }, reference);
    throw new DomainError(
      'invalid',
      'invalid_input',
      'This is not a reference to a secret.',
      'Use env:USHER_SECRET_<NAME>, file:/<path inside the secrets directory> or the ARN of a Secrets Manager secret.',
    );
  }

  onApplicationShutdown(): void {
    this.#clients.destroy();
  }

  #fromEnvironment(variable: string): Secret {
    return present(this.#config.env?.(variable), `The environment variable ${variable}`);
  }

  async #fromFile(path: string): Promise<Secret> {
    const directory = this.#config.secretsDirectory;
    if (directory === undefined) throw outside('No secrets directory is configured, so no file is read.');
    const [inside, real] = await Promise.all([
      realpath(directory).catch(() => undefined),
      realpath(path).catch(() => undefined),
    ]);
    // A missing file and one outside get the same answer: a caller must not learn which files the host has.
    if (inside === undefined || real === undefined || !real.startsWith(inside + sep)) {
      throw outside('The file of this reference is not in the secrets directory.');
    }
    return present((await contents(real))?.replace(/\r?\n$/, ''), 'The file of this reference');
  }

  async #fromSecretsManager(place: AccountPlace, arn: string): Promise<Secret> {
    const client = await this.#clients.in(place);
    const answer = await askAws({ action: 'secretsmanager:GetSecretValue', on: arn }, () =>
      client.send(new GetSecretValueCommand({ SecretId: arn })),
    );
    return present(password(answer.SecretString), `The secret ${arn}`);
  }
}

/** O_NOFOLLOW: the path was resolved, so a link here was put in place since. */
const contents = async (path: string): Promise<string | undefined> => {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    () => undefined,
  );
  try {
    const stat = await file?.stat();
    if (!file || !stat?.isFile() || stat.size > LARGEST_FILE) return undefined;
    return await file.readFile('utf8');
  } finally {
    await file?.close();
  }
};

const password = (text: string | undefined): string | undefined => {
  if (!text?.trimStart().startsWith('{')) return text;
  try {
    const parsed: unknown = JSON.parse(text);
    const held = parsed !== null && typeof parsed === 'object' && 'password' in parsed ? parsed.password : undefined;
    return typeof held === 'string' ? held : undefined;
  } catch {
    return text; // a plain password may start with a brace
  }
};

const present = (value: string | undefined, what: string): Secret => {
  if (value !== undefined && value !== '') return new Secret(value);
  throw new DomainError('unavailable', 'target_not_ready', `${what} holds no secret.`, 'Put the password there.');
};

const outside = (message: string): DomainError =>
  new DomainError('invalid', 'invalid_input', message, 'Put the file into the configured secrets directory.');
