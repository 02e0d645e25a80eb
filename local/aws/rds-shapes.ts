/** What the RDS API says of each resource, by the field names of its reference. */
import type { Certificate, Cluster, Instance, Proxy, RdsStore, Tags } from './rds-store.ts';
import { members } from './xml.ts';
import type { XmlList, XmlObject } from './xml.ts';

export const tagShape = (tags: Tags | undefined): XmlList =>
  members(
    Object.entries(tags ?? {}).map(([Key, Value]) => ({ Key, Value })),
    'Tag',
  );

export const clusterShape = (cluster: Cluster, rds: RdsStore): XmlObject => ({
  DBClusterIdentifier: cluster.identifier,
  DBClusterArn: cluster.arn,
  DbClusterResourceId: cluster.resourceId,
  Status: cluster.status ?? 'available',
  Engine: cluster.engine ?? 'aurora-postgresql',
  EngineVersion: cluster.engineVersion,
  EngineMode: cluster.engineMode ?? 'provisioned',
  DBClusterParameterGroup: cluster.parameterGroup ?? `default.${cluster.engine ?? 'aurora-postgresql'}`,
  DatabaseName: cluster.databaseName,
  Endpoint: cluster.endpoint,
  ReaderEndpoint: cluster.readerEndpoint,
  CustomEndpoints: members((cluster.customEndpoints ?? []).map((endpoint) => endpoint.address)),
  Port: cluster.port,
  MasterUsername: cluster.masterUsername ?? 'postgres',
  MultiAZ: (cluster.members?.length ?? 0) > 1,
  DBClusterMembers: members(
    memberIdentifiers(cluster, rds).map((identifier, index) => ({
      DBInstanceIdentifier: identifier,
      IsClusterWriter: index === 0,
      DBClusterParameterGroupStatus: 'in-sync',
      PromotionTier: 1,
    })),
    'DBClusterMember',
  ),
  IAMDatabaseAuthenticationEnabled: cluster.iamAuthentication ?? false,
  CertificateDetails: cluster.caIdentifier && {
    CAIdentifier: cluster.caIdentifier,
    ValidTill: cluster.certificateValidTill,
  },
  StorageEncrypted: true,
  TagList: tagShape(cluster.tags),
});

/** Those the seed names, else the instances that say they belong to the cluster. */
const memberIdentifiers = (cluster: Cluster, rds: RdsStore): readonly string[] =>
  cluster.members ??
  rds.instances
    .filter(({ clusterIdentifier, region }) => clusterIdentifier === cluster.identifier && region === cluster.region)
    .map(({ identifier }) => identifier);

export const instanceShape = (instance: Instance): XmlObject => {
  const caIdentifier = instance.caIdentifier ?? 'rds-ca-rsa2048-g1';
  return {
    DBInstanceIdentifier: instance.identifier,
    DBInstanceArn: instance.arn,
    DbiResourceId: instance.resourceId,
    DBInstanceStatus: instance.status ?? 'available',
    DBInstanceClass: instance.instanceClass ?? 'db.t4g.medium',
    Engine: instance.engine ?? 'postgres',
    EngineVersion: instance.engineVersion,
    DBName: instance.databaseName,
    Endpoint: instance.endpoint && { Address: instance.endpoint.address, Port: instance.endpoint.port },
    CACertificateIdentifier: caIdentifier,
    CertificateDetails: { CAIdentifier: caIdentifier, ValidTill: instance.certificateValidTill },
    IAMDatabaseAuthenticationEnabled: instance.iamAuthentication ?? false,
    DBClusterIdentifier: instance.clusterIdentifier,
    DBParameterGroups: members(
      [
        {
          DBParameterGroupName: instance.parameterGroup ?? `default.${instance.engine ?? 'postgres'}`,
          ParameterApplyStatus: 'in-sync',
        },
      ],
      'DBParameterGroup',
    ),
    MasterUsername: instance.masterUsername ?? 'postgres',
    PubliclyAccessible: false,
    StorageEncrypted: true,
    TagList: tagShape(instance.tags),
  };
};

export function endpointShapes(cluster: Cluster, rds: RdsStore): XmlObject[] {
  const shape = (type: string, address: string | undefined): XmlObject[] =>
    address === undefined
      ? []
      : [{ DBClusterIdentifier: cluster.identifier, Endpoint: address, Status: 'available', EndpointType: type }];
  const custom = (cluster.customEndpoints ?? []).map((endpoint): XmlObject => ({
    DBClusterEndpointIdentifier: endpoint.identifier,
    DBClusterEndpointArn: rds.arn(cluster.region, 'cluster-endpoint', endpoint.identifier),
    DBClusterIdentifier: cluster.identifier,
    Endpoint: endpoint.address,
    Status: 'available',
    EndpointType: 'CUSTOM',
    CustomEndpointType: 'ANY',
    StaticMembers: members(endpoint.staticMembers ?? []),
    ExcludedMembers: members([]),
  }));
  return [...shape('WRITER', cluster.endpoint), ...shape('READER', cluster.readerEndpoint), ...custom];
}

/** Tags are absent: RDS gives those of a proxy by ListTagsForResource alone. */
export const proxyShape = (proxy: Proxy): XmlObject => ({
  DBProxyName: proxy.name,
  DBProxyArn: proxy.arn,
  Status: proxy.status ?? 'available',
  EngineFamily: proxy.engineFamily ?? 'POSTGRESQL',
  Endpoint: proxy.endpoint,
  RequireTLS: proxy.requireTls ?? true,
  DefaultAuthScheme: proxy.defaultAuthScheme ?? 'IAM_AUTH',
  Auth: members([]),
  IdleClientTimeout: 1800,
});

/** The default endpoint has no row of its own in the seed. */
export const proxyEndpointShapes = (proxy: Proxy, rds: RdsStore): XmlObject[] => [
  {
    DBProxyEndpointName: 'default',
    DBProxyName: proxy.name,
    Status: 'available',
    Endpoint: proxy.endpoint,
    TargetRole: 'READ_WRITE',
    IsDefault: true,
  },
  ...(proxy.endpoints ?? []).map(({ name, address, role }) => ({
    DBProxyEndpointName: name,
    DBProxyEndpointArn: rds.arn(proxy.region, 'db-proxy-endpoint', `prx-endpoint-${name}`),
    DBProxyName: proxy.name,
    Status: 'available',
    Endpoint: address,
    TargetRole: role ?? 'READ_WRITE',
    IsDefault: false,
  })),
];

/** A tracked cluster is told beside its instances; the instance that an instance proxy stands before is told alone. */
export function proxyTargetShapes(proxy: Proxy, rds: RdsStore): XmlObject[] {
  const instances = rds.instances.filter(
    ({ region, identifier, clusterIdentifier }) =>
      region === proxy.region &&
      (proxy.cluster === undefined ? identifier === proxy.instance : clusterIdentifier === proxy.cluster),
  );
  const tracked = { Type: 'TRACKED_CLUSTER', RdsResourceId: proxy.cluster, Port: 5432 };
  return [
    ...(proxy.cluster === undefined ? [] : [tracked]),
    ...instances.map(({ identifier, endpoint }) => ({
      Type: 'RDS_INSTANCE',
      RdsResourceId: identifier,
      TrackedClusterId: proxy.cluster,
      Endpoint: endpoint?.address,
      Port: endpoint?.port,
      TargetHealth: { State: 'AVAILABLE' },
    })),
  ];
}

export const certificateShape = (certificate: Certificate): XmlObject => ({
  CertificateIdentifier: certificate.identifier,
  CertificateType: 'CA',
  CertificateArn: certificate.arn,
  Thumbprint: certificate.thumbprint,
  ValidFrom: certificate.validFrom,
  ValidTill: certificate.validTill,
  CustomerOverride: false,
});
