import { Inject, Injectable } from '@nestjs/common';
import { RdsService } from '../aws/rds.service.js';
import { ServerLogsService } from '../aws/server-logs.service.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import type { ServerLogFormat } from '../postgres/server-log.contract.js';
import { writable, type TargetRow } from '../targets/target.js';
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
    switch (target.logSource) {
      case 'file': {
        const endpointId = writable(target.endpoints)?.id ?? null;
        return new FileSource(this.settings.logDirectory, target.logPlace ?? '', format, endpointId);
      }
      case 'rds':
        return new RdsSource(this.logs, target, await this.instances(target), format);
      case 'cloudwatch': {
        const ends = new Map((await this.instances(target)).map((one) => [one.identifier, one.endpointId]));
        return new CloudWatchSource(this.logs, target, target.logPlace ?? '', (name) => ends.get(name) ?? null);
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
