import type { DBCluster, DBClusterEndpoint, DBInstance, DBProxy, DBProxyEndpoint, Tag } from '@aws-sdk/client-rds';
import type {
  RdsCertificate,
  RdsCluster,
  RdsCustomEndpoint,
  RdsInstance,
  RdsProxy,
  RdsProxyEndpoint,
  RdsTags,
} from './rds.contract.js';

/** Neptune, DocumentDB and MySQL answer the same calls. */
export const POSTGRES_ENGINES: readonly string[] = ['postgres', 'aurora-postgresql'];

const isPostgres = (engine: string | undefined): engine is string => POSTGRES_ENGINES.includes(engine ?? '');

/** @returns nothing for another engine, and for an answer without the ids that everything hangs on */
export function clusterOf(answer: DBCluster): RdsCluster | undefined {
  const {
    DBClusterIdentifier: identifier,
    DBClusterArn: arn,
    DbClusterResourceId: resourceId,
    Engine: engine,
  } = answer;
  if (!identifier || !arn || !resourceId || !isPostgres(engine)) return undefined;
  return {
    identifier,
    arn,
    resourceId,
    engine,
    engineVersion: answer.EngineVersion ?? '',
    engineMode: answer.EngineMode ?? null,
    status: answer.Status ?? 'unknown',
    endpoint: answer.Endpoint ?? null,
    readerEndpoint: answer.ReaderEndpoint ?? null,
    port: answer.Port ?? 5432,
    iamAuthentication: answer.IAMDatabaseAuthenticationEnabled ?? false,
    masterUser: answer.MasterUsername ?? null,
    databaseName: answer.DatabaseName ?? null,
    parameterGroup: answer.DBClusterParameterGroup ?? null,
    certificate: certificateOf(answer.CertificateDetails, undefined),
    members: (answer.DBClusterMembers ?? []).map((member) => ({
      identifier: member.DBInstanceIdentifier ?? '',
      writer: member.IsClusterWriter ?? false,
    })),
    tags: tagsOf(answer.TagList),
  };
}

/** @returns nothing for another engine, and for an answer without the ids that everything hangs on */
export function instanceOf(answer: DBInstance): RdsInstance | undefined {
  const { DBInstanceIdentifier: identifier, DBInstanceArn: arn, DbiResourceId: resourceId, Engine: engine } = answer;
  if (!identifier || !arn || !resourceId || !isPostgres(engine)) return undefined;
  const { Address: host, Port: port = 5432 } = answer.Endpoint ?? {};
  return {
    identifier,
    arn,
    resourceId,
    engine,
    engineVersion: answer.EngineVersion ?? '',
    status: answer.DBInstanceStatus ?? 'unknown',
    instanceClass: answer.DBInstanceClass ?? '',
    endpoint: host === undefined ? null : { host, port },
    iamAuthentication: answer.IAMDatabaseAuthenticationEnabled ?? false,
    masterUser: answer.MasterUsername ?? null,
    databaseName: answer.DBName ?? null,
    clusterIdentifier: answer.DBClusterIdentifier ?? null,
    parameterGroup: answer.DBParameterGroups?.[0]?.DBParameterGroupName ?? null,
    certificate: certificateOf(answer.CertificateDetails, answer.CACertificateIdentifier),
    tags: tagsOf(answer.TagList),
  };
}

function certificateOf(
  details: DBInstance['CertificateDetails'],
  identifier: string | undefined,
): RdsCertificate | null {
  const caIdentifier = details?.CAIdentifier ?? identifier;
  return caIdentifier === undefined ? null : { caIdentifier, validTill: details?.ValidTill ?? null };
}

export const customEndpointOf = (answer: DBClusterEndpoint): RdsCustomEndpoint | undefined =>
  answer.EndpointType !== 'CUSTOM' || !answer.DBClusterIdentifier || !answer.Endpoint
    ? undefined
    : { clusterIdentifier: answer.DBClusterIdentifier, host: answer.Endpoint, status: answer.Status ?? 'unknown' };

/** @returns nothing for a proxy before another engine */
export function proxyOf(answer: DBProxy): RdsProxy | undefined {
  const { DBProxyName: name, DBProxyArn: arn } = answer;
  const resourceId = arn?.split(':').at(-1);
  if (!name || !arn || !resourceId?.startsWith('prx-') || answer.EngineFamily !== 'POSTGRESQL') return undefined;
  return {
    name,
    arn,
    resourceId,
    status: answer.Status ?? 'unknown',
    endpoint: answer.Endpoint ?? null,
    defaultAuthScheme: answer.DefaultAuthScheme ?? null,
    requireTls: answer.RequireTLS ?? false,
  };
}

export const proxyEndpointOf = (answer: DBProxyEndpoint): RdsProxyEndpoint | undefined =>
  !answer.DBProxyName || !answer.Endpoint
    ? undefined
    : {
        proxyName: answer.DBProxyName,
        host: answer.Endpoint,
        readOnly: answer.TargetRole === 'READ_ONLY',
        isDefault: answer.IsDefault ?? false,
      };

export const tagsOf = (list: readonly Tag[] | undefined): RdsTags =>
  Object.fromEntries((list ?? []).map(({ Key, Value }) => [Key ?? '', Value ?? '']));
