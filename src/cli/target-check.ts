import { addressHelp, addressOf, addressOptions } from './address.js';
import { read, UsageError, type Command } from './command.js';
import { DomainError } from '../platform/errors.js';
import { environment } from '../platform/environment.js';
import type { BrokerLogin, Proof, TargetSession } from '../postgres/postgres.contract.js';
import { PostgresService } from '../postgres/postgres.service.js';
import { complete, proofText } from './report.js';

const help = `usage: npm run usher -- target-check <name or id>      a registered target, reached as the service reaches it
       npm run usher -- target-check --host <name> --ca <file> [options]      one that is not registered yet

Tries every right that the broker needs, as the broker, and rolls it back. Says what is missing, and what to run.
Ends with 0 when nothing is missing, with 1 when something is, with 2 for a wrong call.

${addressHelp}
  --user <name>        the broker's login; default usher_broker. Its password comes from PGPASSWORD, or:
  --region <name>      signs an IAM token with the AWS credentials of this environment
  --token-host <name>  the endpoint to sign for, where it is not the host
  --account <id> --resource-id <id> [--connect-role <name>] [--partition aws]
                       signs with the connect role of that account, as the service does
  --probe <name>       the login name to try with, where login_pattern refuses check_…; nobody may have it
  --json               for machines`;

const options = {
  ...addressOptions,
  user: { type: 'string' },
  region: { type: 'string' },
  'token-host': { type: 'string' },
  account: { type: 'string' },
  'resource-id': { type: 'string' },
  'connect-role': { type: 'string' },
  partition: { type: 'string' },
  probe: { type: 'string' },
  json: { type: 'boolean' },
} as const;

export const command: Command = {
  help,
  run: async (args) => {
    const { values, positionals } = read(args, options, ['target']);
    const [target] = positionals;
    const proofs = await (target === undefined ? unregistered(values) : registered(target, values));
    const body = { complete: complete(proofs), proofs };
    console.log(values.json === true ? JSON.stringify(body, null, 2) : proofText(proofs));
    return body.complete ? 0 : 1;
  },
};

type Given = { [K in Exclude<keyof typeof options, 'json'>]?: string | undefined };

async function registered(target: string, given: Given): Promise<Proof[]> {
  const [other] = Object.keys(given).filter((name) => !['probe', 'json'].includes(name));
  if (other !== undefined)
    throw new UsageError(`--${other} is for a target that is not registered: leave it, or the name, out.`);
  const { reachRegistered } = await import('./registered-target.js');
  return reachRegistered(target, (connect) => proofsOf(connect, given.probe));
}

async function unregistered(given: Given): Promise<Proof[]> {
  const address = await addressOf(given);
  const login = await loginOf(given, { host: given['token-host'] ?? address.host, port: address.port });
  const postgres = new PostgresService();
  try {
    return await proofsOf(() => postgres.connect('check', address, login), given.probe);
  } finally {
    await postgres.onApplicationShutdown();
  }
}

async function loginOf(given: Given, endpoint: { host: string; port: number }): Promise<BrokerLogin> {
  const user = given.user ?? 'usher_broker';
  const { region, account } = given;
  if (region !== undefined) {
    const { signedLogin } = await import('./broker-login.js');
    return signedLogin({ user, region, ...endpoint, account: accountOf(given) });
  }
  if (account !== undefined) throw new UsageError('--account goes with --region: tokens are signed for a region.');
  const password = environment()['PGPASSWORD'];
  if (password === undefined || password === '') {
    throw new UsageError('PGPASSWORD is not set. Set it, or give --region to sign an IAM token.');
  }
  return { user, password: () => Promise.resolve(password) };
}

function accountOf(given: Given) {
  if (given.account === undefined) return undefined;
  const resourceId = given['resource-id'];
  if (resourceId === undefined) throw new UsageError('--resource-id is missing, e.g. --resource-id cluster-ABC123.');
  return {
    accountId: given.account,
    resourceId,
    partition: given.partition ?? 'aws',
    connectRole: given['connect-role'],
  };
}

/** A way in that fails is the first of all missing rights. */
async function proofsOf(connect: () => Promise<TargetSession>, probe: string | undefined): Promise<Proof[]> {
  try {
    const session = await connect();
    const connected: Proof = { right: 'connect', verdict: 'ok', finding: 'over verified TLS', remedy: null };
    return [connected, ...(await session.prove(probe))];
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    const remedy = error.advice ?? 'Look at the PostgreSQL log of the target.';
    return [{ right: 'connect', verdict: 'missing', finding: error.message, remedy }];
  }
}
