import { Inject, Injectable } from '@nestjs/common';
import { RdsService } from '../aws/rds.service.js';
import { ServerLogsService } from '../aws/server-logs.service.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import type { ServerLogFormat } from '../postgres/server-log.contract.js';
import { furtherLogsOf, writable, type TargetRow } from '../targets/target.js';
import { CloudWatchSource } from './log-source-cloudwatch.js';
import { FileSource } from './log-source-file.js';
import { RdsSource, type LoggedInstance } from './log-source-rds.js';
import type { LogSource } from './log-source.js';

/** Where the log of each target is read, by what an administrator set on it. */
@Injectable()
export class LogSources {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly rds: RdsService,
    private readonly logs: ServerLogsService,
  ) {}

  /**
   * @returns undefined for a target whose log is not read
   * @throws DomainError `aws_denied`, `aws_unavailable`, `account_not_registered`
   */
  async of(target: TargetRow): Promise<LogSource | undefined> {
    const format = target.logFormat as ServerLogFormat;
    const first = target.logPlace ?? '';
    const further = furtherOf(target);
    switch (target.logSource) {
      case 'file': {
        const own = { path: first, endpointId: writable(target.endpoints)?.id ?? null };
        const others = further.map(({ place, endpointId }) => ({ path: place, endpointId }));
        return new FileSource(this.settings.logDirectory, [own, ...others], format);
      }
      case 'rds': {
        const others = further.map(({ place, endpointId }) => ({ identifier: place, endpointId }));
        const named = new Set(others.map(({ identifier }) => identifier));
        const own = (await this.instances(target)).filter(({ identifier }) => !named.has(identifier));
        return new RdsSource(this.logs, target, [...own, ...others], format);
      }
      case 'cloudwatch': {
        const ends = new Map((await this.instances(target)).map((one) => [one.identifier, one.endpointId]));
        const own = { name: first, endpointOf: (instance: string) => ends.get(instance) ?? null };
        const others = further.map(({ place, endpointId }) => ({ name: place, endpointOf: () => endpointId }));
        return new CloudWatchSource(this.logs, target, [own, ...others]);
      }
      default:
        return undefined;
    }
  }

  /** An endpoint that leads to exactly one instance is that of its log; a reader endpoint leads to one of many. */
  private async instances(target: TargetRow): Promise<LoggedInstance[]> {
    const cluster = target.kind === 'aurora-cluster' ? await this.rds.cluster(target, target.resourceId) : undefined;
    const found =
      target.kind === 'aurora-cluster'
        ? cluster
          ? await this.rds.instancesOf(target, { clusterIdentifier: cluster.identifier })
          : []
        : await this.rds.instancesOf(target, { resourceId: target.resourceId });
    const endpointOf = (identifier: string, endpoint: { host: string; port: number } | null): string | null => {
      const exact = target.endpoints.filter(
        ({ tokenHost, port }) => tokenHost === endpoint?.host && port === endpoint.port,
      );
      if (exact[0]) return exact[0].id;
      const writes =
        cluster === undefined || cluster.members.some((one) => one.writer && one.identifier === identifier);
      return writes ? (writable(target.endpoints)?.id ?? null) : null;
    };
    return found.map(({ identifier, endpoint }) => ({ identifier, endpointId: endpointOf(identifier, endpoint) }));
  }
}

/** Logs of the other servers of a target, each with the endpoint that leads to its server. */
const furtherOf = (target: TargetRow): { place: string; endpointId: string | null }[] =>
  furtherLogsOf(target).map(({ connectHost, port, place }) => {
    const endpoint = target.endpoints.find((one) => one.connectHost === connectHost && one.port === port);
    return { place, endpointId: endpoint?.id ?? null };
  });
