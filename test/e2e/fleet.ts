import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { AwsStandIn } from '../../local/aws/server.ts';
import { createRdsAuthority, type Authority } from '../../local/rds/authority.ts';
import { startRdsInstance, type RdsInstance } from '../../local/rds/instance.ts';
import { REGION } from '../../local/stand-in-account.ts';
import { billingPlan, registrationOf, setUp, type Registration } from '../../local/stand-in-targets.ts';
import { standInMajors } from '../support/majors.ts';

const run = promisify(execFile);

/** One instance of many: a server, a guard and a resource id of its own. */
export interface Member {
  rds: RdsInstance;
  registration: Registration;
}

export interface Fleet {
  members: Member[];
  /** Of an authority of their own: for the environment of the Usher that is to trust them. */
  trust: { USHER_TRUST_BUNDLES: string };
  caPem: string;
  close(): Promise<void>;
}

/** As many databases as a company has. One is set up, the others are copies of it: a guard is per server, and so none can share one. */
export async function startFleet(aws: AwsStandIn, size: number): Promise<Fleet> {
  const directory = await mkdtemp(join(tmpdir(), `usher-tests-${process.pid}-fleet-`)); // where what the killed left is removed
  await chmod(directory, 0o755); // the servers may run as another user
  const authority = createRdsAuthority(REGION);
  const first = join(directory, 'first');
  const pattern = await startMember(aws, authority, first, 0);
  const engineVersion = await setUp(pattern, billingPlan);
  await pattern.stop(); // a copy is only whole while its source stands still
  const members: Member[] = [];
  const start = async (at: number): Promise<void> => {
    const dataDir = join(directory, `member-${at}`);
    await run('cp', ['-a', first, dataDir]);
    const rds = await startMember(aws, authority, dataDir, at);
    const { target, profiles } = registrationOf(rds, { ...billingPlan, resourceId: rds.resourceId }, engineVersion);
    members.push({ rds, registration: { target: { ...target, name: `fleet-${at}` }, profiles } });
  };
  const close = async (): Promise<void> => {
    await Promise.all([pattern, ...members.map(({ rds }) => rds)].map((rds) => rds.close()));
    await rm(directory, { recursive: true, force: true });
  };
  try {
    for (let at = 1; at <= size; at += 2) await Promise.all([start(at), ...(at < size ? [start(at + 1)] : [])]);
  } catch (error) {
    await close();
    throw error;
  }
  const pem = aws.bundles.addBundle(`${REGION}/fleet.pem`, authority.caPem);
  const trust = { USHER_TRUST_BUNDLES: JSON.stringify({ [REGION]: { partition: 'aws', pem } }) };
  return { members, trust, caPem: authority.caPem, close };
}

function startMember(aws: AwsStandIn, authority: Authority, dataDir: string, at: number): Promise<RdsInstance> {
  const resourceId = `db-FLEETMEMBER${at}`;
  return startRdsInstance({
    ...{ name: 'billing', resourceId, major: standInMajors.billing, dataDir, authority, databases: ['billing'] },
    verify: (login) => Promise.resolve(aws.verifyToken(login.token, { ...login, region: REGION, resourceId })),
    ephemeral: true,
    settings: { shared_buffers: '4MB', max_connections: '30' },
  });
}
