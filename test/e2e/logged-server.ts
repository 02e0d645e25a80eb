import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { createRdsAuthority } from '../../local/rds/authority.ts';
import type { Authority } from '../../local/rds/authority.ts';
import { startRdsInstance, type RdsInstance } from '../../local/rds/instance.ts';
import { billingPlan, registrationOf, setUp, type Registration } from '../../local/stand-in-targets.ts';
import type { PostgresMajor } from '../../src/platform/embedded-postgres.ts';
import { keepSecret } from '../support/secrets.ts';
import { standIn } from '../support/stand-in.ts';

export type Format = 'stderr' | 'csv' | 'json';

/** A database as billing is, that is let in by IAM tokens and has every connection in the files of its log. */
export interface LoggedServer {
  rds: RdsInstance;
  /** With where its log is. */
  registration: Registration;
  /** A session of an application, which has a password of its own and never heard of Usher. */
  application(): Promise<pg.Client>;
  close(): Promise<void>;
}

const destination: Readonly<Record<Format, string>> = { stderr: 'stderr', csv: 'csvlog', json: 'jsonlog' };
const REGION = 'eu-west-1';
export const APPLICATION = 'batch';

/** Authorities of their own, and the setting by which Usher trusts them. */
export async function ownTrust(): Promise<{ authority: Authority; env: Record<string, string> }> {
  const authority = createRdsAuthority(REGION);
  const { aws } = await standIn();
  const pem = aws.bundles.addBundle(`logged-${process.pid}/${REGION}-bundle.pem`, authority.caPem);
  return { authority, env: { USHER_TRUST_BUNDLES: JSON.stringify({ [REGION]: { partition: 'aws', pem } }) } };
}

export async function startLoggedServer(
  format: Format,
  major: PostgresMajor,
  authority: Authority,
): Promise<LoggedServer> {
  const base = await mkdtemp(join(tmpdir(), 'logged-server-'));
  await chmod(base, 0o755); // the server may run as another user
  await mkdir(join(base, 'data'));
  const { aws } = await standIn();
  const resourceId = `db-LOGGED${format.toUpperCase()}`;
  const plan = {
    ...{ ...billingPlan, major, resourceId },
    profiles: [...billingPlan.profiles, ...billingPlan.profiles.map((one) => ({ ...one, name: 'invoices-check' }))],
  };
  const rds = await startRdsInstance({
    ...{ name: `logged-${format}`, resourceId, major, authority, databases: [plan.name], ephemeral: true },
    ...{ dataDir: join(base, 'data', 'pg'), logFiles: destination[format] },
    verify: (login) => Promise.resolve(aws.verifyToken(login.token, { ...login, region: REGION, resourceId })),
  });
  keepSecret('the password of a master', rds.master.password);
  const { target, profiles } = registrationOf(rds, plan, await setUp(rds, plan));
  const log = { logSource: 'file', logFormat: format, logPlace: rds.logDirectory() };
  const password = await letIn(rds, plan.name);
  return {
    rds,
    registration: { target: { ...target, name: `logged-${format}`, ...log }, profiles },
    application: () => enter(rds, plan.name, password),
    close: async () => {
      await rds.close();
      await rm(base, { recursive: true, force: true });
    },
  };
}

async function letIn(rds: RdsInstance, database: string): Promise<string> {
  const password = crypto.randomUUID();
  const admin = new pg.Client({ ...rds.admin(), database });
  await admin.connect();
  await admin.query(`CREATE ROLE ${APPLICATION} LOGIN PASSWORD '${password}'`);
  await admin.end();
  return password;
}

async function enter(rds: RdsInstance, database: string, password: string): Promise<pg.Client> {
  const [endpoint] = rds.endpoints;
  const at = { host: 'localhost', port: endpoint?.port ?? 0, database, user: APPLICATION };
  const client = new pg.Client({ ...at, password, application_name: 'cron', ssl: { ca: rds.caPem } });
  await client.connect();
  return client;
}
