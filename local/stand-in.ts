/** All that Usher needs around it, on loopback: AWS, an OpenID provider, and two databases with the guard installed. */
import { existsSync, rmSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { PostgresMajor } from '../src/platform/embedded-postgres.ts';
import { startAws } from './aws/server.ts';
import type { AwsStandIn } from './aws/server.ts';
import { defaultPeople } from './oidc/people.ts';
import { startOidc } from './oidc/server.ts';
import type { OidcStandIn } from './oidc/server.ts';
import { createRdsAuthority, restoreAuthority } from './rds/authority.ts';
import type { Authority } from './rds/authority.ts';
import { startRdsInstance } from './rds/instance.ts';
import type { RdsInstance } from './rds/instance.ts';
import { ACCOUNT, ALICE_ARN, CONNECT_ROLE, createPrincipals, describeDatabases, REGION } from './stand-in-account.ts';
import type { AccessKeys } from './stand-in-account.ts';
import { billingPlan, ordersPlan, registrationOf, setUp } from './stand-in-targets.ts';
import type { Registration, TargetPlan } from './stand-in-targets.ts';

export interface StandInOptions {
  /** Where data and the CA bundle are put; absent: a temporary one, removed at the end. */
  directory?: string;
  /** Nothing of the databases is kept. Default true without a directory, else false. */
  ephemeral?: boolean;
  /** Life of the access tokens of the OpenID provider. Default 3,600. */
  accessTokenSeconds?: number;
  /** Other PostgreSQL majors than the usual ones. */
  majors?: { orders?: PostgresMajor; billing?: PostgresMajor };
  /** More settings of both database servers, for measurements: e.g. max_connections. */
  settings?: Record<string, string>;
  /** Fixed ports; absent: free ones. */
  ports?: { aws?: number; oidc?: number; writer?: number; reader?: number; billing?: number };
}

export interface StandInTarget {
  /** stop() and start() make it fail and come back. */
  rds: RdsInstance;
  resourceId: string;
  database: string;
  endpoints: RdsInstance['endpoints'];
  master: RdsInstance['master'];
  registration: Registration;
}

export interface StandIn {
  aws: AwsStandIn;
  oidc: OidcStandIn;
  targets: { orders: StandInTarget; billing: StandInTarget };
  /** What the service needs in its environment, beside a place for its state. */
  env: Record<string, string>;
  /** The CA bundle of the region, as it is served at the URL that the API returns. */
  caFile: string;
  caUrl: string;
  /** Who has an IAM user of their own. */
  people: { alice: { awsKeys: AccessKeys; principalArn: string } };
  close(): Promise<void>;
}

export async function startStandIn(o: StandInOptions = {}): Promise<StandIn> {
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    const [directory, ...parts] = closers.splice(0); // the directory first of all, and so last of all
    await Promise.all(parts.map((part) => part()));
    await directory?.();
  };
  try {
    return await start(o, closers, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(
  o: StandInOptions,
  closers: (() => Promise<void>)[],
  close: () => Promise<void>,
): Promise<StandIn> {
  const ephemeral = o.ephemeral ?? o.directory === undefined;
  const directory = await directoryOf(o.directory);
  closers.push(o.directory === undefined ? removedAtEnd(directory) : () => Promise.resolve());
  const authority = await authorityOf(directory, ephemeral);
  const [aws, oidc] = await Promise.all([
    startAws({ accountId: ACCOUNT, region: REGION, ...portOption(o.ports?.aws) }),
    startOidc({
      people: peopleOf(ALICE_ARN),
      ...(o.accessTokenSeconds === undefined ? {} : { accessTokenSeconds: o.accessTokenSeconds }),
      ...portOption(o.ports?.oidc),
    }),
  ]);
  closers.push(
    () => aws.close(),
    () => oidc.close(),
  );
  const keys = createPrincipals(aws);
  const caUrl = aws.bundles.addBundle(`${REGION}/${REGION}-bundle.pem`, authority.caPem);
  const caFile = join(directory, `${REGION}-bundle.pem`);
  await writeFile(caFile, authority.caPem, { mode: 0o644 });
  const database = databaseStarter({ aws, authority, directory, ephemeral, settings: o.settings ?? {} }, closers);
  const [orders, billing] = await allOrNone([
    database(planOn(ordersPlan, o.majors?.orders), { writer: o.ports?.writer, reader: o.ports?.reader }),
    database(planOn(billingPlan, o.majors?.billing), { writer: o.ports?.billing }),
  ]);
  describeDatabases(aws, { orders, billing }, authority.caPem);
  return {
    aws,
    oidc,
    targets: { orders, billing },
    env: environment(aws, oidc, keys.service, caUrl),
    caFile,
    caUrl,
    people: { alice: { awsKeys: keys.alice, principalArn: ALICE_ARN } },
    close,
  };
}

/** Its data goes with the servers, however they end; what is left is the bundle, and the directory itself. */
function removedAtEnd(directory: string): () => Promise<void> {
  const atExit = (): void => rmSync(directory, { recursive: true, force: true });
  process.once('exit', atExit);
  return async () => {
    process.off('exit', atExit);
    await rm(directory, { recursive: true, force: true });
  };
}

/** Waits for both, so that on a failure of one the other is there to be closed. */
async function allOrNone<T>([one, two]: [Promise<T>, Promise<T>]): Promise<[T, T]> {
  await Promise.allSettled([one, two]);
  return [await one, await two];
}

const planOn = (plan: TargetPlan, major: PostgresMajor = plan.major): TargetPlan => ({ ...plan, major });

const portOption = (port: number | undefined): { port?: number } => (port === undefined ? {} : { port });

const peopleOf = (aliceArn: string) =>
  defaultPeople.map((person) => (person.name === 'alice' ? { ...person, awsPrincipal: aliceArn } : person));

async function directoryOf(wanted: string | undefined): Promise<string> {
  const directory = wanted === undefined ? await mkdtemp(join(tmpdir(), 'usher-stand-in-')) : resolve(wanted);
  await mkdir(directory, { recursive: true });
  // the servers may run as another user; what is secret in it is closed by itself
  await chmod(directory, 0o755);
  return directory;
}

/** Kept beside kept data, so that clients go on trusting the servers after a restart. */
async function authorityOf(directory: string, ephemeral: boolean): Promise<Authority> {
  const file = join(directory, 'authority.json');
  if (!ephemeral && existsSync(file)) return restoreAuthority(await readFile(file, 'utf8'));
  const authority = createRdsAuthority(REGION);
  if (!ephemeral) await writeFile(file, authority.export(), { mode: 0o600, flag: 'wx' });
  return authority;
}

interface Surroundings {
  aws: AwsStandIn;
  authority: Authority;
  directory: string;
  ephemeral: boolean;
  settings: Record<string, string>;
}

const databaseStarter =
  ({ aws, authority, directory, ephemeral, settings }: Surroundings, closers: (() => Promise<void>)[]) =>
  async (
    plan: TargetPlan,
    ports: { writer?: number | undefined; reader?: number | undefined },
  ): Promise<StandInTarget> => {
    const { name, resourceId, major } = plan;
    const rds = await startRdsInstance({
      ...{ name, resourceId, major, authority, ephemeral, settings },
      dataDir: join(directory, name),
      databases: [name],
      replica: plan.kind === 'aurora-cluster',
      ports: {
        ...(ports.writer === undefined ? {} : { writer: ports.writer }),
        ...(ports.reader === undefined ? {} : { reader: ports.reader }),
      },
      verify: (login) => Promise.resolve(aws.verifyToken(login.token, { ...login, region: REGION, resourceId })),
    });
    closers.push(() => rds.close());
    const engineVersion = await setUp(rds, plan);
    const { endpoints, master } = rds;
    const registration = registrationOf(rds, plan, engineVersion);
    return { rds, resourceId, database: name, endpoints, master, registration };
  };

function environment(aws: AwsStandIn, oidc: OidcStandIn, keys: AccessKeys, caUrl: string): Record<string, string> {
  return {
    OIDC_ISSUER: oidc.issuer,
    OIDC_AUDIENCE: oidc.audience,
    AWS_ENDPOINT_URL: aws.url,
    AWS_REGION: REGION,
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    // without it a mistake in the keys would become a search for the metadata service of EC2
    AWS_EC2_METADATA_DISABLED: 'true',
    USHER_CONNECT_ROLE: CONNECT_ROLE,
    USHER_TRUST_BUNDLES: JSON.stringify({ [REGION]: { partition: 'aws', pem: caUrl } }),
  };
}
