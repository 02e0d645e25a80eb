import { Injectable } from '@nestjs/common';
import type { RdsPlace } from '../aws/rds.contract.js';
import { RdsService } from '../aws/rds.service.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import type { RdsFacts, Read, ReadinessFacts } from './readiness-item.js';
import type { TargetRow } from './target.js';
import { TargetAccess } from './target-access.service.js';

type Database = Omit<RdsFacts, 'version'>;

/** Reads what the readiness of a target is judged by, from RDS and from the server, both at the same time. */
@Injectable()
export class ReadinessReader {
  constructor(
    private readonly rds: RdsService,
    private readonly access: TargetAccess,
    private readonly clock: Clock,
  ) {}

  /** Never fails for what AWS or the server refuses: that is why a part could not be read. */
  async read(target: TargetRow): Promise<ReadinessFacts> {
    const [aws, session] = await Promise.all([this.ofRds(target), this.ofServer(target)]);
    return {
      now: this.clock.now(),
      target: {
        id: target.id,
        region: target.region,
        brokerLogin: target.brokerLogin,
        brokerByIam: target.brokerSecret === null,
        masterUser: target.masterUser,
      },
      ...aws,
      ...session,
    };
  }

  /**
   * The database of a target as RDS tells it, found by its resource id: the name may be another by now.
   * @returns undefined when RDS tells of none, and for proxies, which have no settings of their own
   * @throws DomainError of the RDS calls
   */
  async database(target: TargetRow): Promise<Database | undefined> {
    const place: RdsPlace = target;
    if (target.kind === 'rds-proxy') return undefined;
    if (target.kind === 'aurora-cluster') {
      const cluster = await this.rds.cluster(place, target.resourceId);
      if (cluster === undefined) return undefined;
      const { identifier } = cluster;
      const instances = await this.rds.instancesOf(place, { clusterIdentifier: identifier });
      return { ...cluster, database: { kind: 'cluster', identifier }, instances };
    }
    const { resourceId } = target;
    const instances = await this.rds.instancesOf(place, { resourceId });
    const instance = instances.find((found) => found.resourceId === resourceId);
    if (instance === undefined) return undefined;
    return { ...instance, database: { kind: 'instance', identifier: instance.identifier }, instances: [instance] };
  }

  private async ofRds(target: TargetRow): Promise<Pick<ReadinessFacts, 'rds' | 'parameters'>> {
    const found = await orWhy(() => this.database(target));
    if ('why' in found) return { rds: found, parameters: found };
    const database = found.value;
    if (database === undefined) {
      const none = { why: whyNone(target) };
      return { rds: none, parameters: none };
    }
    const { engine, engineVersion, parameterGroup: name } = database;
    const [version, parameters] = await Promise.all([
      orWhy(() => this.rds.engineVersion(target, engine, engineVersion)),
      name === null
        ? { why: 'RDS names no parameter group of this database.' }
        : orWhy(() => this.rds.parameters(target, { kind: database.database.kind, name })),
    ]);
    const rds: Read<RdsFacts> =
      'why' in version ? version : { value: { ...database, version: version.value } satisfies RdsFacts };
    return { rds, parameters };
  }

  private async ofServer(target: TargetRow): Promise<Pick<ReadinessFacts, 'server' | 'proofs'>> {
    const reached = await orWhy(() => this.access.writer(target));
    if ('why' in reached) return { server: reached, proofs: reached };
    const { value: session } = reached;
    const roles = [target.brokerLogin, ...(target.masterUser === null ? [] : [target.masterUser])];
    const server = await orWhy(() => session.facts({ roles }));
    return { server, proofs: 'why' in server ? server : await orWhy(() => session.prove()) };
  }
}

async function orWhy<T>(read: () => Promise<T>): Promise<Read<T>> {
  try {
    return { value: await read() };
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return { why: [error.message, error.advice].filter(Boolean).join(' ') };
  }
}

const whyNone = ({ kind, resourceId, accountId, region }: TargetRow): string =>
  kind === 'rds-proxy'
    ? 'A proxy has no settings of its own: register the database behind it as a target, and look there.'
    : `RDS tells of no ${resourceId} in ${accountId}, ${region}: it was deleted, or the register names another place.`;
