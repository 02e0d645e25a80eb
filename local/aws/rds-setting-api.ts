/** RDS: versions and parameters, and the one setting that Usher may change. */
import { ApiError } from './api.ts';
import type { Call, Handlers } from './api.ts';
import { clusterShape, instanceShape } from './rds-shapes.ts';
import type { EngineVersion, RdsStore } from './rds-store.ts';
import { arnOf, here, named, rdsPage } from './rds-wire.ts';
import { members } from './xml.ts';
import type { XmlObject } from './xml.ts';

export const settingHandlers = (rds: RdsStore): Handlers => ({
  DescribeDBEngineVersions: (call) => describeVersions(rds, call),
  DescribeDBClusterParameters: (call) => describeParameters(rds, call, 'DBClusterParameterGroupName', 'cluster-pg'),
  DescribeDBParameters: (call) => describeParameters(rds, call, 'DBParameterGroupName', 'pg'),
  ModifyDBCluster: (call) => modifyCluster(rds, call),
  ModifyDBInstance: (call) => modifyInstance(rds, call),
});

function describeVersions(rds: RdsStore, call: Call): XmlObject {
  call.require('rds:DescribeDBEngineVersions', '*');
  const engine = call.parameters.optional('Engine');
  const version = call.parameters.optional('EngineVersion');
  const found = rds.engineVersions.filter(
    (one) => one.engine === (engine ?? one.engine) && one.version === (version ?? one.version),
  );
  return rdsPage(call, 'DBEngineVersions', 'DBEngineVersion', found, versionShape);
}

const versionShape = ({ engine, version, authorities, rotatesWithoutRestart }: EngineVersion): XmlObject => ({
  Engine: engine,
  EngineVersion: version,
  SupportedCACertificateIdentifiers: members(authorities),
  SupportsCertificateRotationWithoutRestart: rotatesWithoutRestart,
});

function describeParameters(rds: RdsStore, call: Call, field: string, type: string): XmlObject {
  const name = call.parameters.required(field);
  call.require(`rds:${call.action}`, rds.arn(call.region, type, name));
  const group = rds.parameterGroups.get(name) ?? (name.startsWith('default.') ? {} : undefined);
  if (group === undefined) throw new ApiError('DBParameterGroupNotFound', `DBParameterGroup not found: ${name}`, 404);
  return rdsPage(call, 'Parameters', 'Parameter', Object.entries(group), ([ParameterName, ParameterValue]) => ({
    ParameterName,
    ParameterValue,
    Source: 'user',
    IsModifiable: true,
  }));
}

/** AWS takes a change that names more than is modelled here; better to refuse than to pretend. */
function iamSetting(call: Call, identifier: string): boolean {
  const known = ['Action', 'Version', identifier, 'EnableIAMDatabaseAuthentication', 'ApplyImmediately'];
  const other = call.parameters.entries().find(([name]) => !known.includes(name));
  if (other !== undefined)
    throw new ApiError('InvalidParameterCombination', `The stand-in does not change ${other[0]}.`);
  return call.parameters.required('EnableIAMDatabaseAuthentication') === 'true';
}

function modifyCluster(rds: RdsStore, call: Call): XmlObject {
  const wanted = call.parameters.required('DBClusterIdentifier');
  call.require('rds:ModifyDBCluster', arnOf(rds, call, 'cluster', wanted));
  const iamAuthentication = iamSetting(call, 'DBClusterIdentifier');
  const found = here(rds.clusters, call).find(({ identifier, arn }) => named(wanted, identifier, arn));
  if (found === undefined) throw new ApiError('DBClusterNotFoundFault', `DBCluster ${wanted} not found.`, 404);
  if ((found.status ?? 'available') !== 'available')
    throw new ApiError('InvalidDBClusterStateFault', `DBCluster ${wanted} is not in available state`);
  rds.changeCluster(found.resourceId, { iamAuthentication });
  return { DBCluster: clusterShape({ ...found, iamAuthentication }, rds) };
}

function modifyInstance(rds: RdsStore, call: Call): XmlObject {
  const wanted = call.parameters.required('DBInstanceIdentifier');
  call.require('rds:ModifyDBInstance', arnOf(rds, call, 'db', wanted));
  const iamAuthentication = iamSetting(call, 'DBInstanceIdentifier');
  const found = here(rds.instances, call).find(({ identifier, arn }) => named(wanted, identifier, arn));
  if (found === undefined) throw new ApiError('DBInstanceNotFound', `DBInstance ${wanted} not found.`, 404);
  if ((found.status ?? 'available') !== 'available')
    throw new ApiError('InvalidDBInstanceState', `DBInstance ${wanted} is not in available state`);
  // AWS docs: of an instance in a cluster it is the cluster's setting
  if (found.clusterIdentifier !== undefined)
    throw new ApiError(
      'InvalidParameterCombination',
      'IAM database authentication of an Aurora DB instance is changed on its DB cluster.',
    );
  rds.changeInstance(found.resourceId, { iamAuthentication });
  return { DBInstance: instanceShape({ ...found, iamAuthentication }) };
}
