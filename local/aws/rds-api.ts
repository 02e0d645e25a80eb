/** RDS: the calls that describe databases and certificates. Source: Amazon RDS API Reference, version 2014-10-31. */
import { ApiError } from './api.ts';
import type { Call, Handlers } from './api.ts';
import { logHandlers } from './rds-log-api.ts';
import { settingHandlers } from './rds-setting-api.ts';
import { proxyHandlers } from './rds-proxy-api.ts';
import { certificateShape, clusterShape, endpointShapes, instanceShape, tagShape } from './rds-shapes.ts';
import type { Cluster, Instance, RdsStore } from './rds-store.ts';
import { arnOf, filtered, here, named, rdsPage, textOf } from './rds-wire.ts';
import type { XmlObject } from './xml.ts';

export function rdsHandlers(rds: RdsStore): Handlers {
  return {
    DescribeDBClusters: (call) => describeClusters(rds, call),
    DescribeDBInstances: (call) => describeInstances(rds, call),
    DescribeDBClusterEndpoints: (call) => describeClusterEndpoints(rds, call),
    DescribeCertificates: (call) => describeCertificates(rds, call),
    ListTagsForResource: (call) => listTags(rds, call),
    ...proxyHandlers(rds),
    ...settingHandlers(rds),
    ...logHandlers(rds),
  };
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
