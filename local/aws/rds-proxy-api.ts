/** RDS Proxy: what it describes of proxies, their endpoints and what stands behind them. */
import { ApiError } from './api.ts';
import type { Call, Handlers } from './api.ts';
import { proxyEndpointShapes, proxyShape, proxyTargetShapes } from './rds-shapes.ts';
import type { Proxy, RdsStore } from './rds-store.ts';
import { here, rdsPage } from './rds-wire.ts';
import type { XmlObject } from './xml.ts';

export const proxyHandlers = (rds: RdsStore): Handlers => ({
  DescribeDBProxies: (call) => describeProxies(rds, call),
  DescribeDBProxyEndpoints: (call) => describeEndpoints(rds, call),
  DescribeDBProxyTargets: (call) => describeTargets(rds, call),
});

function describeProxies(rds: RdsStore, call: Call): XmlObject {
  return rdsPage(call, 'DBProxies', 'member', proxiesNamed(rds, call, 'DescribeDBProxies'), proxyShape);
}

function describeEndpoints(rds: RdsStore, call: Call): XmlObject {
  const proxies = proxiesNamed(rds, call, 'DescribeDBProxyEndpoints');
  const shapes = proxies.flatMap((proxy) => proxyEndpointShapes(proxy, rds));
  return rdsPage(call, 'DBProxyEndpoints', 'member', shapes, (shape) => shape);
}

function describeTargets(rds: RdsStore, call: Call): XmlObject {
  call.parameters.required('DBProxyName');
  const proxies = proxiesNamed(rds, call, 'DescribeDBProxyTargets');
  const shapes = proxies.flatMap((proxy) => proxyTargetShapes(proxy, rds));
  return rdsPage(call, 'Targets', 'member', shapes, (shape) => shape);
}

/** @throws ApiError AccessDenied; DBProxyNotFoundFault for a name that no proxy has */
function proxiesNamed(rds: RdsStore, call: Call, action: string): Proxy[] {
  const wanted = call.parameters.optional('DBProxyName');
  const all = here(rds.proxies, call);
  const found = all.filter((proxy) => wanted === undefined || proxy.name === wanted);
  call.require(`rds:${action}`, rds.arn(call.region, 'db-proxy', (wanted && found[0]?.resourceId) ?? '*'));
  if (wanted !== undefined && found.length === 0)
    throw new ApiError(
      'DBProxyNotFoundFault',
      `The specified proxy name doesn't correspond to a proxy: ${wanted}`,
      404,
    );
  return found;
}
