/** The stand-in's one HTTP endpoint: STS, IAM, RDS, CloudWatch Logs, Secrets Manager and KMS behind SigV4, and the CA bundles in the open. */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { ApiError } from './api.ts';
import type { Call, Handlers, Parameters } from './api.ts';
import { partitionOf } from './arn.ts';
import { accessDenied, decide, layersOf, principalArn } from './authorization.ts';
import { Faults } from './faults.ts';
import { iamHandlers } from './iam-api.ts';
import { IamStore } from './iam-store.ts';
import { KmsStore, kmsHandlers } from './kms-api.ts';
import { LogGroups, logsHandlers } from './logs-api.ts';
import { rdsHandlers } from './rds-api.ts';
import { RdsStore } from './rds-store.ts';
import { authenticate, readAuthorization } from './request-signature.ts';
import type { Authenticated } from './request-signature.ts';
import { SecretStore, secretsHandlers } from './secrets-api.ts';
import { stsHandlers } from './sts-api.ts';
import { verifyToken } from './token-verifier.ts';
import type { ExpectedLogin, TokenVerdict, VerifierSwitches } from './token-verifier.ts';
import { Trail } from './trail.ts';
import { errorReply, protocolOf, readBody, readCall, successReply } from './wire.ts';
import type { Reply } from './wire.ts';

export interface AwsOptions {
  /** Default: any free port. */
  readonly port?: number;
  /** Default `123456789012`. */
  readonly accountId?: string;
  /** Default `eu-west-1`. */
  readonly region?: string;
  readonly now?: () => Date;
  readonly tokens?: VerifierSwitches;
}

export interface AwsStandIn {
  /** `http://localhost:{port}`, for `AWS_ENDPOINT_URL`. */
  readonly url: string;
  readonly accountId: string;
  readonly region: string;
  readonly iam: IamStore;
  readonly rds: RdsStore;
  readonly secrets: SecretStore;
  readonly logs: LogGroups;
  readonly kms: KmsStore;
  readonly trail: Trail;
  readonly faults: Faults;
  readonly bundles: Bundles;
  /** One more account behind the same address: an access key tells whose it is, and a role names its own. */
  addAccount(accountId: string): Pick<AwsStandIn, 'accountId' | 'iam' | 'rds' | 'secrets' | 'logs' | 'kms'>;
  /** The judgement of the database side on a login token. */
  verifyToken(token: string, expect: ExpectedLogin): TokenVerdict;
  close(): Promise<void>;
}

/** Stands for `truststore.pki.rds.amazonaws.com`. */
export class Bundles {
  readonly #url: string;
  readonly #files = new Map<string, string>();

  constructor(url: string) {
    this.#url = url;
  }

  /**
   * @param path as at AWS, e.g. `eu-west-1/eu-west-1-bundle.pem`
   * @returns the URL it is served at, without authentication
   */
  addBundle(path: string, pem: string): string {
    this.#files.set(path, pem);
    return `${this.#url}/trust/${path}`;
  }

  find(path: string): string | undefined {
    return this.#files.get(path);
  }
}

export async function startAws(options: AwsOptions = {}): Promise<AwsStandIn> {
  const now = options.now ?? (() => new Date());
  const accountId = options.accountId ?? '123456789012';
  const region = options.region ?? 'eu-west-1';
  const server = createServer();
  const port = await listen(server, options.port ?? 0);
  const url = `http://localhost:${port}`;
  const accounts: Account[] = [];
  const addAccount = (id: string): Account => {
    const account = newAccount(id, region, now, () => accounts.map((each) => each.iam));
    accounts.push(account);
    return account;
  };
  const first = addAccount(accountId);
  const { iam, rds, secrets, logs, kms } = first;
  const common = { now, trail: new Trail(), faults: new Faults(), bundles: new Bundles(url) };
  const state: State = { ...common, ...first, accounts };
  server.on('request', (request, response) => void respond(state, request, response));
  const authority = {
    accountId,
    now,
    findKey: (id: string) => iam.credentials.find(id),
    principalOf: principalArn.bind(undefined, iam),
    decide: decide.bind(undefined, iam),
  };
  return {
    url,
    accountId,
    region,
    iam,
    rds,
    secrets,
    logs,
    kms,
    trail: state.trail,
    faults: state.faults,
    addAccount,
    bundles: state.bundles,
    verifyToken: (token, expect) => verifyToken(token, expect, authority, options.tokens),
    close: () => close(server),
  };
}

interface Account {
  readonly accountId: string;
  readonly iam: IamStore;
  readonly rds: RdsStore;
  readonly secrets: SecretStore;
  readonly logs: LogGroups;
  readonly kms: KmsStore;
  readonly services: ReadonlyMap<string, Handlers>;
}

function newAccount(accountId: string, region: string, now: () => Date, all: () => readonly IamStore[]): Account {
  const iam = new IamStore(accountId, partitionOf(region), now);
  const rds = new RdsStore(accountId, region);
  const secrets = new SecretStore(accountId, region, now);
  const logs = new LogGroups(accountId, region);
  const kms = new KmsStore(accountId, region);
  const services = new Map<string, Handlers>([
    ['sts', stsHandlers(iam, all)],
    ['iam', iamHandlers(iam)],
    ['rds', rdsHandlers(rds)],
    ['secretsmanager', secretsHandlers(secrets)],
    ['logs', logsHandlers(logs)],
    ['kms', kmsHandlers(kms)],
  ]);
  return { accountId, iam, rds, secrets, logs, kms, services };
}

/** What a call meets: the account that its key belongs to, and what all accounts share. */
interface State {
  readonly accounts: readonly Account[];
  readonly now: () => Date;
  readonly iam: IamStore;
  readonly services: ReadonlyMap<string, Handlers>;
  readonly trail: Trail;
  readonly faults: Faults;
  readonly bundles: Bundles;
}

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
    // Clients keep connections alive; waiting for them would hang the shutdown.
    server.closeAllConnections();
  });
}

async function respond(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let reply: Reply;
  try {
    reply = request.url?.startsWith('/trust/') ? bundleReply(state, request) : await apiReply(state, request);
  } catch (error) {
    reply = { status: 500, type: 'text/plain', body: 'InternalFailure' };
    if (!response.destroyed && !request.destroyed) console.error('local aws: a call failed unexpectedly', error);
  }
  response.writeHead(reply.status, {
    'content-type': reply.type,
    'x-amzn-requestid': randomUUID(),
    // The stand-in's own clock: SDKs correct their skew by this header.
    date: state.now().toUTCString(),
  });
  response.end(reply.body);
}

function bundleReply(state: State, request: IncomingMessage): Reply {
  const pem = state.bundles.find((request.url ?? '').slice('/trust/'.length));
  if (request.method !== 'GET' || pem === undefined) return { status: 404, type: 'text/plain', body: 'Not found' };
  return { status: 200, type: 'application/x-pem-file', body: pem };
}

async function apiReply(state: State, request: IncomingMessage): Promise<Reply> {
  const protocol = protocolOf(request);
  try {
    const body = await readBody(request);
    const authorization = readAuthorization(request);
    const { service } = authorization.scope;
    const { action, parameters } = readCall(request, body, protocol);
    await state.faults.slow(service, action);
    state.faults.strike(service, action, 'before');
    const { accessKeyId } = authorization.scope;
    const account = state.accounts.find(({ iam }) => iam.credentials.find(accessKeyId) !== undefined);
    const find = (id: string) => account?.iam.credentials.find(id);
    const authenticated = authenticate(request, body, authorization, find, state.now());
    const result = dispatch({ ...state, ...account }, service, authenticated, action, parameters);
    state.faults.strike(service, action, 'after');
    return successReply(protocol, service, action, result);
  } catch (error) {
    if (error instanceof ApiError) return errorReply(protocol, error);
    throw error;
  }
}

function dispatch(state: State, service: string, caller: Authenticated, action: string, parameters: Parameters) {
  const handlers = state.services.get(service);
  if (handlers === undefined)
    throw new ApiError(
      'SignatureDoesNotMatch',
      `Credential should be scoped to a known service, not '${service}'.`,
      403,
    );
  const handler = Object.hasOwn(handlers, action) ? handlers[action] : undefined;
  if (handler === undefined) throw new ApiError('InvalidAction', `Could not find operation ${action}`);
  const event = {
    eventTime: state.now(),
    eventSource: `${service}.amazonaws.com`,
    eventName: action,
    principalArn: principalArn(state.iam, caller.credential),
    requestParameters: Object.fromEntries(parameters.entries()),
  };
  try {
    lookAtAll(state.iam);
    const result = handler(callOf(state, caller, action, parameters));
    lookAtAll(state.iam);
    state.trail.record({ ...event, errorCode: undefined });
    return result;
  } catch (error) {
    state.trail.record({ ...event, errorCode: error instanceof ApiError ? error.code : 'InternalFailure' });
    throw error;
  }
}

/** So that the moment of a change is known, where changes take time to be felt. */
function lookAtAll(iam: IamStore): void {
  if (iam.propagationSeconds === 0) return;
  for (const identity of [...iam.users.values(), ...iam.roles.values()]) layersOf(iam, identity);
}

function callOf(state: State, { credential, scope }: Authenticated, action: string, parameters: Parameters): Call {
  const now = state.now();
  const common = { 'aws:CurrentTime': now.toISOString(), 'aws:SourceIp': '127.0.0.1', 'aws:SecureTransport': 'false' };
  return {
    action,
    parameters,
    credential,
    region: scope.region,
    now,
    require: (permission, resource, context = {}) => {
      const question = { action: permission, resource, context: { ...common, ...context } };
      const decision = decide(state.iam, credential, question);
      if (decision.outcome !== 'allowed')
        throw accessDenied(principalArn(state.iam, credential), permission, resource, decision);
    },
  };
}
