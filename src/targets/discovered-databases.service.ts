import { Injectable } from '@nestjs/common';
import { plainToInstance } from 'class-transformer';
import { validate } from 'class-validator';
import { AuditService } from '../audit/audit.service.js';
import type { DiscoveredDatabase as Row } from '../generated/prisma/client.js';
import type { Actor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { DomainError, type FieldProblem } from '../platform/errors.js';
import { asId, readPage, toPage } from '../platform/page.js';
import { Database } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import { v7 } from 'uuid';
import type { DiscoveredFacts } from './discovery.js';
import type {
  DiscoveredDatabase,
  DiscoveredDatabasePage,
  DiscoveredQuery,
  RegisterDatabase,
} from './discovery.contract.js';
import { DiscoveredState } from './discovery.contract.js';
import { defaultsFrom, differencesOf, endpointChanges, engineModeOf } from './discovery-register.js';
import type { TargetRow } from './target.js';
import { CreateTarget, type EndpointKind, type Target, type TargetKind } from './targets.contract.js';
import { TargetsService } from './targets.service.js';

/** Rows of discovered_database that are read at a time while looking for those of one state. */
const BATCH = 200;

type Known = Row & { target: TargetRow | undefined; namesakes: string[]; lookedAt: Date | null };

/** What discovery found, beside what is registered; and the way from one to the other. */
@Injectable()
export class DiscoveredDatabasesService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly audit: AuditService,
    private readonly targets: TargetsService,
  ) {}

  /** @throws DomainError `policy_denied`, `invalid_cursor` */
  async list(actor: Actor, query: DiscoveredQuery): Promise<DiscoveredDatabasePage> {
    this.policy.authorize(actor, 'discoverDatabases');
    const { before, take, limit } = readPage(query);
    const found: Known[] = [];
    let last = before;
    for (;;) {
      const where = {
        ...(last !== undefined && { id: { lt: last } }),
        ...(query.state !== undefined && {
          missingSince: query.state === DiscoveredState.missing ? { not: null } : null,
        }),
      };
      const rows = await this.db.client.discoveredDatabase.findMany({ where, orderBy: { id: 'desc' }, take: BATCH });
      const known = await this.beside(rows);
      found.push(...known.filter((row) => query.state === undefined || stateOf(row) === query.state));
      last = rows.at(-1)?.id;
      if (found.length >= take || rows.length < BATCH) return toPage(found.slice(0, take), limit, present);
    }
  }

  /** @throws DomainError `policy_denied`, `invalid_id`, `discovered_database_not_found` */
  async get(actor: Actor, id: string): Promise<DiscoveredDatabase> {
    this.policy.authorize(actor, 'discoverDatabases');
    return present(await this.row(id));
  }

  /** @throws DomainError `policy_denied`, `invalid_input`, `database_missing`, `name_taken`, `discovered_database_not_found` */
  async register(actor: Actor, id: string, input: RegisterDatabase): Promise<Target> {
    this.policy.authorize(actor, 'administerTargets');
    const row = await this.row(id);
    refuseMissing(row);
    const facts = factsOf(row);
    const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
    const { kind, partition, region, accountId, resourceId, engineVersion } = facts;
    const target = plainToInstance(CreateTarget, {
      ...{ kind, partition, region, accountId, resourceId, engineVersion },
      ...(facts.masterUser !== null && { masterUser: facts.masterUser }),
      engineMode: engineModeOf(facts),
      caIdentifier: facts.caIdentifier ?? 'rds-ca-rsa2048-g1',
      endpoints: facts.endpoints,
      ...defaultsFrom(facts),
      ...given,
    });
    const problems = (await validate(target)).map(({ property, constraints = {} }): FieldProblem => ({
      field: property,
      message: Object.values(constraints)[0] ?? 'does not fit',
    }));
    if (problems.length > 0)
      throw new DomainError(
        'invalid',
        'invalid_input',
        'The database cannot be registered so.',
        'Give what AWS does not know in the call, or in tags of the database: docs/discovery.md names them.',
        { fields: problems },
      );
    return this.targets.create(actor, target, facts.tags);
  }

  /**
   * Makes the target what AWS says. Grants on it go on: the same resource id is the same database, with the same roles in it,
   * and a renamed one can be closed only at its new address.
   * @throws DomainError `policy_denied`, `database_missing`, `target_not_found`, `discovered_database_not_found`
   */
  async apply(actor: Actor, id: string): Promise<Target> {
    this.policy.authorize(actor, 'administerTargets');
    const row = await this.row(id);
    refuseMissing(row);
    const facts = factsOf(row);
    const targetId = row.target?.id;
    if (targetId === undefined)
      throw new DomainError('not_found', 'target_not_found', 'This database is not registered.', 'Register it first.');
    await this.db.tx(async (tx) => {
      const before = await this.targets.lock(tx, targetId);
      const differences = differencesOf(before, facts);
      if (differences.length === 0) return;
      const changed = new Set(differences.map(({ field }) => field));
      if (changed.has('endpoints')) {
        const { gone, added } = endpointChanges(before.endpoints, facts.endpoints);
        await tx.endpoint.deleteMany({ where: { id: { in: gone.map((one) => one.id) } } });
        await tx.endpoint.createMany({ data: added.map((one) => ({ id: v7(), targetId, ...one })) });
      }
      const { engineVersion, caIdentifier, masterUser, tags } = facts;
      const data = {
        ...(changed.has('engineVersion') && { engineVersion }),
        ...(changed.has('engineMode') && { engineMode: engineModeOf(facts) }),
        ...(changed.has('caIdentifier') && caIdentifier !== null && { caIdentifier }),
        ...(changed.has('masterUser') && { masterUser }),
        ...(changed.has('tags') && { tags }),
      };
      await tx.target.update({ where: { id: targetId }, data: { ...data, updatedAt: this.clock.now() } });
      const said = differences.map(({ field, registered, discovered }) => [
        field,
        { from: registered, to: discovered },
      ]);
      const details = { changed: Object.fromEntries(said) as Record<string, unknown> };
      await this.audit.append(tx, actor, { action: 'target.update', targetId, details });
    });
    return this.targets.get(actor, targetId);
  }

  private async row(id: string): Promise<Known> {
    const where = { id: asId(id, 'id of a discovered database') };
    const found = await this.db.client.discoveredDatabase.findUnique({ where });
    const [row] = await this.beside(found === null ? [] : [found]);
    if (row) return row;
    throw new DomainError(
      'not_found',
      'discovered_database_not_found',
      'Discovery knows no such database.',
      'GET /v1/discovered-databases lists them.',
    );
  }

  /** With the targets of the same resource ids, others of the same names, and the last look at each place. */
  private async beside(rows: readonly Row[]): Promise<Known[]> {
    if (rows.length === 0) return [];
    const resourceIds = rows.map(({ resourceId }) => resourceId);
    const [targets, named, looks] = await Promise.all([
      this.db.client.target.findMany({
        where: { resourceId: { in: resourceIds }, deletedAt: null },
        include: { endpoints: true },
      }),
      this.db.client.discoveredDatabase.findMany({
        where: { identifier: { in: rows.map(({ identifier }) => identifier) } },
        select: { id: true, identifier: true, kind: true, partition: true, accountId: true, region: true },
      }),
      this.db.client.discoveryPlace.groupBy({
        by: ['partition', 'accountId', 'region'],
        where: { state: 'done' },
        _max: { finishedAt: true },
      }),
    ]);
    const here = (a: Pick<Row, 'partition' | 'accountId' | 'region'>) => (b: typeof a) =>
      a.partition === b.partition && a.accountId === b.accountId && a.region === b.region;
    return rows.map((row) => ({
      ...row,
      target: targets.filter(here(row)).find(({ resourceId }) => resourceId === row.resourceId),
      namesakes: named
        .filter(here(row))
        .filter(({ id, identifier, kind }) => id !== row.id && identifier === row.identifier && kind === row.kind)
        .map(({ id }) => id),
      lookedAt: looks.find(here(row))?._max.finishedAt ?? null,
    }));
  }
}

const factsOf = (row: Row): DiscoveredFacts => row.facts as unknown as DiscoveredFacts;

function stateOf(row: Known): DiscoveredState {
  if (row.missingSince !== null) return DiscoveredState.missing;
  if (row.target === undefined) return DiscoveredState.new;
  return differencesOf(row.target, factsOf(row)).length === 0 ? DiscoveredState.registered : DiscoveredState.changed;
}

function refuseMissing({ missingSince, identifier }: Row): void {
  if (missingSince === null) return;
  throw new DomainError(
    'conflict',
    'database_missing',
    `AWS has not told of ${identifier} since ${missingSince.toISOString()}.`,
    'Run discovery again; one that was restored or made anew has another resource id, and is offered by itself.',
  );
}

function present(row: Known): DiscoveredDatabase {
  const facts = factsOf(row);
  return {
    id: row.id,
    state: stateOf(row),
    kind: facts.kind as TargetKind,
    identifier: facts.identifier,
    arn: facts.arn,
    partition: facts.partition,
    accountId: facts.accountId,
    region: facts.region,
    resourceId: facts.resourceId,
    engine: facts.engine,
    engineVersion: facts.engineVersion,
    status: facts.status,
    iamAuthentication: facts.iamAuthentication,
    caIdentifier: facts.caIdentifier,
    certificateValidTill: facts.certificateValidTill === null ? null : new Date(facts.certificateValidTill),
    endpoints: facts.endpoints.map((one) => ({ ...one, kind: one.kind as EndpointKind })),
    tags: Object.entries(facts.tags).map(([key, value]) => ({ key, value })),
    targetId: row.target?.id ?? null,
    differences: row.target === undefined ? [] : differencesOf(row.target, facts),
    namesakes: row.namesakes,
    foundAt: row.foundAt,
    changedAt: row.changedAt,
    missingSince: row.missingSince,
    lastSeenAt: row.missingSince ?? row.lookedAt,
  };
}
