/** RDS, the calls that describe. Source: Amazon RDS API Reference, version 2014-10-31. */
import { ApiError } from './api.ts';
import type { Call, Handlers, Parameters } from './api.ts';
import { page } from './paging.ts';
import { certificateShape, clusterShape, endpointShapes, instanceShape, proxyShape, tagShape } from './rds-shapes.ts';
import type { Cluster, Instance, RdsStore } from './rds-store.ts';
import { members } from './xml.ts';
import type { XmlObject, XmlValue } from './xml.ts';

export function rdsHandlers(rds: RdsStore): Handlers {
  return {
    DescribeDBClusters: (call) => describeClusters(rds, call),
    DescribeDBInstances: (call) => describeInstances(rds, call),
    DescribeDBClusterEndpoints: (call) => describeClusterEndpoints(rds, call),
    DescribeDBProxies: (call) => describeProxies(rds, call),
    DescribeCertificates: (call) => describeCertificates(rds, call),
    ListTagsForResource: (call) => listTags(rds, call),
  };
}

/** `MaxRecords` 20 to 100, default 100. */
function rdsPage<T>(
  call: Call,
  element: string,
  entry: string,
  all: readonly T[],
  shape: (one: T) => XmlObject,
): XmlObject {
  const size = call.parameters.integer('MaxRecords') ?? 100;
  if (size < 20 || size > 100)
    throw new ApiError('InvalidParameterValue', `Invalid value ${size} for MaxRecords. Must be between 20 and 100`);
  const { entries, marker } = page(all, size, call.parameters.optional('Marker'));
  return { Marker: marker, [element]: members(entries.map(shape), entry) };
}

const textOf = (value: XmlValue): string => (typeof value === 'string' ? value : '');

/**
 * @param known filter names with what they compare; identifiers and ARNs are both accepted where AWS accepts both
 * @throws ApiError InvalidParameterValue for a filter that the call does not know
 */
function filtered<T>(
  parameters: Parameters,
  all: readonly T[],
  known: Readonly<Record<string, (one: T) => readonly (string | undefined)[]>>,
): T[] {
  const filters = parameters.structures('Filters.Filter').map((filter) => {
    const name = filter.required('Name');
    const read = Object.hasOwn(known, name) ? known[name] : undefined;
    if (read === undefined) throw new ApiError('InvalidParameterValue', `Unrecognized filter name: ${name}`);
    return { read, values: filter.list('Values.Value') };
  });
  return all.filter((one) =>
    filters.every(({ read, values }) => read(one).some((value) => value !== undefined && values.includes(value))),
  );
}

/** AWS compares identifiers without case and takes an ARN as well. */
const named = (wanted: string | undefined, identifier: string, arn: string): boolean =>
  wanted === undefined || wanted.toLowerCase() === identifier.toLowerCase() || wanted === arn;

function here<T extends { readonly region: string }>(all: readonly T[], call: Call): T[] {
  return all.filter((one) => one.region === call.region);
}

function describeClusters(rds: RdsStore, call: Call): XmlObject {
  const wanted = call.parameters.optional('DBClusterIdentifier');
  call.require('rds:DescribeDBClusters', arnOf(rds, call, 'cluster', wanted));
  const found = here(rds.clusters, call).filter((cluster) => named(wanted, cluster.identifier, cluster.arn));
  if (wanted !== undefined && found.length === 0)
    throw new ApiError('DBClusterNotFoundFault', `DBCluster ${wanted} not found.`, 404);
  const matching = filtered(call.parameters, found, {
    'db-cluster-id': (cluster: Cluster) => [cluster.identifier, cluster.arn],
    'db-cluster-resource-id': (cluster) => [cluster.resourceId],
    engine: (cluster) => [cluster.engine ?? 'aurora-postgresql'],
  });
  return rdsPage(call, 'DBClusters', 'DBCluster', matching, (cluster) => clusterShape(cluster, rds));
}

function describeInstances(rds: RdsStore, call: Call): XmlObject {
  const wanted = call.parameters.optional('DBInstanceIdentifier');
  call.require('rds:DescribeDBInstances', arnOf(rds, call, 'db', wanted));
  const found = here(rds.instances, call).filter((instance) => named(wanted, instance.identifier, instance.arn));
  if (wanted !== undefined && found.length === 0)
    throw new ApiError('DBInstanceNotFound', `DBInstance ${wanted} not found.`, 404);
  const matching = filtered(call.parameters, found, {
    'db-instance-id': (instance: Instance) => [instance.identifier, instance.arn],
    'db-cluster-id': (instance) => [
      instance.clusterIdentifier,
      instance.clusterIdentifier && rds.arn(instance.region, 'cluster', instance.clusterIdentifier),
    ],
    'dbi-resource-id': (instance) => [instance.resourceId],
    engine: (instance) => [instance.engine ?? 'postgres'],
  });
  return rdsPage(call, 'DBInstances', 'DBInstance', matching, instanceShape);
}

function describeClusterEndpoints(rds: RdsStore, call: Call): XmlObject {
  const wanted = call.parameters.optional('DBClusterIdentifier');
  const endpoint = call.parameters.optional('DBClusterEndpointIdentifier');
  call.require('rds:DescribeDBClusterEndpoints', arnOf(rds, call, 'cluster-endpoint', endpoint));
  const clusters = here(rds.clusters, call).filter((cluster) => named(wanted, cluster.identifier, cluster.arn));
  if (wanted !== undefined && clusters.length === 0)
    throw new ApiError('DBClusterNotFoundFault', `DBCluster ${wanted} not found.`, 404);
  const shapes = clusters
    .flatMap((cluster) => endpointShapes(cluster, rds))
    .filter((shape) => endpoint === undefined || shape['DBClusterEndpointIdentifier'] === endpoint);
  const matching = filtered(call.parameters, shapes, {
    'db-cluster-endpoint-type': (shape) => [textOf(shape['EndpointType']).toLowerCase()],
    'db-cluster-endpoint-id': (shape) => [textOf(shape['DBClusterEndpointIdentifier'])],
    'db-cluster-endpoint-status': (shape) => [textOf(shape['Status'])],
  });
  return rdsPage(call, 'DBClusterEndpoints', 'DBClusterEndpointList', matching, (shape) => shape);
}

function describeProxies(rds: RdsStore, call: Call): XmlObject {
  const wanted = call.parameters.optional('DBProxyName');
  const all = here(rds.proxies, call);
  const found = all.filter((proxy) => wanted === undefined || proxy.name === wanted);
  call.require('rds:DescribeDBProxies', rds.arn(call.region, 'db-proxy', (wanted && found[0]?.resourceId) ?? '*'));
  if (wanted !== undefined && found.length === 0)
    throw new ApiError(
      'DBProxyNotFoundFault',
      `The specified proxy name doesn't correspond to a proxy: ${wanted}`,
      404,
    );
  return rdsPage(call, 'DBProxies', 'member', found, proxyShape);
}

function describeCertificates(rds: RdsStore, call: Call): XmlObject {
  const wanted = call.parameters.optional('CertificateIdentifier');
  call.require('rds:DescribeCertificates', '*');
  const found = here(rds.certificates, call).filter(({ identifier }) => wanted === undefined || identifier === wanted);
  if (wanted !== undefined && found.length === 0)
    throw new ApiError('CertificateNotFound', `Certificate not found: ${wanted}`, 404);
  return {
    DefaultCertificateForNewLaunches: 'rds-ca-rsa2048-g1',
    ...rdsPage(call, 'Certificates', 'Certificate', found, certificateShape),
  };
}

function listTags(rds: RdsStore, call: Call): XmlObject {
  const arn = call.parameters.required('ResourceName');
  call.require('rds:ListTagsForResource', arn);
  const found = [...rds.clusters, ...rds.instances, ...rds.proxies].find((resource) => resource.arn === arn);
  if (found !== undefined) return { TagList: tagShape(found.tags) };
  if (/:cluster:/.test(arn)) throw new ApiError('DBClusterNotFoundFault', `DBCluster ${arn} not found.`, 404);
  if (/:db-proxy:/.test(arn)) throw new ApiError('DBProxyNotFoundFault', `DBProxy ${arn} not found.`, 404);
  throw new ApiError('DBInstanceNotFound', `DBInstance ${arn} not found.`, 404);
}

/** The resource to ask permission for: the one named, or all of its type. */
const arnOf = (rds: RdsStore, call: Call, type: string, wanted: string | undefined): string =>
  wanted?.startsWith('arn:') === true ? wanted : rds.arn(call.region, type, wanted ?? '*');
