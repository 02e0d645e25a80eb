/** What a look cannot cost less than: the SDK reads the same pages one after the other, and keeps nothing of them. */
import {
  paginateDescribeDBClusterEndpoints,
  paginateDescribeDBClusters,
  paginateDescribeDBInstances,
  paginateDescribeDBProxies,
  RDSClient,
} from '@aws-sdk/client-rds';

export interface FloorAsk {
  endpoint: string;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
}
export interface FloorAnswer {
  seconds: number;
  clusters: number;
  instances: number;
}

const Filters = [{ Name: 'engine', Values: ['postgres', 'aurora-postgresql'] }];

async function read({ endpoint, region, ...credentials }: FloorAsk): Promise<FloorAnswer> {
  const config = { client: new RDSClient({ endpoint, region, credentials }), pageSize: 100 };
  const found = { clusters: 0, instances: 0 };
  const since = performance.now();
  for await (const { DBProxies } of paginateDescribeDBProxies(config, {}))
    if (DBProxies?.length) throw new Error('the floor knows no proxies');
  for await (const page of paginateDescribeDBClusterEndpoints(config, {
    Filters: [{ Name: 'db-cluster-endpoint-type', Values: ['custom'] }],
  }))
    if (page.DBClusterEndpoints === undefined) throw new Error('a page without endpoints');
  for await (const page of paginateDescribeDBInstances(config, { Filters }))
    found.instances += page.DBInstances?.length ?? 0;
  for await (const page of paginateDescribeDBClusters(config, { Filters }))
    found.clusters += page.DBClusters?.length ?? 0;
  const seconds = (performance.now() - since) / 1_000;
  config.client.destroy();
  return { seconds, ...found };
}

process.on('message', (ask: FloorAsk) => {
  read(ask).then(
    (answer) => process.send?.(answer),
    (error: unknown) => {
      console.error(error);
      process.exitCode = 1;
      process.disconnect();
    },
  );
});
