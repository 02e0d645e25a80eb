/** Many databases at once, as a large company has them: for tests and measurements of discovery. */
import type { RdsStore } from './rds-store.ts';

/**
 * Adds Aurora PostgreSQL clusters with their instances, and every hundredth a cluster of another engine, which discovery
 * has to leave out.
 * @returns how many PostgreSQL clusters and instances there are now
 */
export function addFleet(
  rds: RdsStore,
  fleet: { clusters: number; instancesEach: number; region?: string },
): { clusters: number; instances: number } {
  const region = fleet.region ?? rds.region;
  for (let at = 1; at <= fleet.clusters; at++) {
    const name = `fleet-${String(at).padStart(5, '0')}`;
    const suffix = `c0ffee.${region}.rds.amazonaws.com`;
    const members = Array.from({ length: fleet.instancesEach }, (_, index) => `${name}-${index + 1}`);
    rds.addCluster({
      identifier: name,
      resourceId: `cluster-FLEET${at}`,
      endpoint: `${name}.cluster-${suffix}`,
      readerEndpoint: `${name}.cluster-ro-${suffix}`,
      port: 5432,
      engineVersion: '17.4',
      iamAuthentication: true,
      members,
      region,
      tags: { team: `team-${at % 40}`, environment: at % 4 === 0 ? 'prod' : 'dev' },
    });
    for (const identifier of members)
      rds.addInstance({
        identifier,
        resourceId: `db-FLEET${identifier.slice(6).replace('-', 'X')}`,
        endpoint: { address: `${identifier}.${suffix}`, port: 5432 },
        engine: 'aurora-postgresql',
        engineVersion: '17.4',
        instanceClass: 'db.r7g.large',
        certificateValidTill: new Date('2027-08-01T00:00:00Z'),
        clusterIdentifier: name,
        region,
      });
    if (at % 100 === 0)
      rds.addCluster({
        identifier: `graph-${at}`,
        resourceId: `cluster-GRAPH${at}`,
        endpoint: `graph-${at}.cluster-${suffix}`,
        port: 8182,
        engine: 'neptune',
        engineVersion: '1.3.2.1',
        region,
      });
  }
  return { clusters: fleet.clusters, instances: fleet.clusters * fleet.instancesEach };
}
