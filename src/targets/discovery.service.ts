import { Inject, Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import { AuditService } from '../audit/audit.service.js';
import type { RdsPlace, RdsTags } from '../aws/rds.contract.js';
import { RdsService } from '../aws/rds.service.js';
import type { DiscoveryPlace as PlaceRow, DiscoveryRun as RunRow } from '../generated/prisma/client.js';
import { type Actor, systemActor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { DomainError } from '../platform/errors.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { asId } from '../platform/page.js';
import { Database, type Tx } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import type { DiscoveryRun, StartDiscovery } from './discovery.contract.js';
import { DiscoveryRecord } from './discovery-record.js';

/** A job: one place of a run; without one, the tick of the schedule. */
interface Due {
  placeId?: string;
}

/** Places that one process reads at the same time. */
const PARALLEL = 2;
const MINUTE_MS = 60_000;
/** A run that takes longer lost one of its jobs, and is not waited for. */
const LONGEST_RUN_MS = 6 * 3_600_000;
const KEPT_MS = 30 * 24 * 60 * MINUTE_MS;

/** Runs of discovery. Eight collaborators: it decides, records, enqueues, and does the work of its own jobs. */
@Injectable()
export class DiscoveryService {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly audit: AuditService,
    private readonly jobs: Jobs,
    private readonly rds: RdsService,
    private readonly record: DiscoveryRecord,
  ) {}

  /** Takes up the work of this process. */
  async startJobs(): Promise<void> {
    if (!this.settings.jobs) return;
    await this.jobs.work<Due>('discover', PARALLEL, ({ placeId }) =>
      placeId === undefined ? this.tick() : this.look(placeId),
    );
    if (this.settings.discoveryMinutes > 0) await this.jobs.every('discover', '* * * * *');
  }

  /** @throws DomainError `policy_denied`; `invalid_input` when nothing that is registered is named */
  async start(actor: Actor, input: StartDiscovery): Promise<DiscoveryRun> {
    this.policy.authorize(actor, 'discoverDatabases');
    const tags = Object.fromEntries((input.tags ?? []).map(({ key, value }) => [key, value]));
    const places = await this.places(input);
    return this.db.tx((tx) => this.begin(tx, actor, places, tags));
  }

  /** @throws DomainError `policy_denied`, `invalid_id`, `discovery_not_found` */
  async get(actor: Actor, id: string): Promise<DiscoveryRun> {
    this.policy.authorize(actor, 'discoverDatabases');
    const where = { id: asId(id, 'discovery id') };
    const run = await this.db.client.discoveryRun.findUnique({
      where,
      include: { places: { orderBy: { id: 'asc' } } },
    });
    if (!run) throw new DomainError('not_found', 'discovery_not_found', 'There is no such discovery.');
    return presentRun(run);
  }

  /** Looks at one place of a run, and notes a failure there: the other places go on. */
  async look(placeId: string): Promise<void> {
    const where = { id: placeId };
    const place = await this.db.client.discoveryPlace.findUnique({ where, include: { run: true } });
    if (!place || place.finishedAt !== null) return;
    await this.db.client.discoveryPlace.update({ where, data: { state: 'running', startedAt: this.clock.now() } });
    let outcome;
    try {
      outcome = { state: 'done', ...(await this.record.look(place, place.run.tags as RdsTags)) };
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      outcome = { state: 'failed', error: [error.message, error.advice].filter(Boolean).join(' ') };
    }
    await this.db.tx(async (tx) => {
      const finishedAt = this.clock.now();
      await tx.$queryRaw`SELECT 1 FROM discovery_run WHERE id = ${place.runId}::uuid FOR UPDATE`;
      await tx.discoveryPlace.update({ where, data: { ...outcome, finishedAt } });
      if ((await tx.discoveryPlace.count({ where: { runId: place.runId, finishedAt: null } })) > 0) return;
      await tx.discoveryRun.update({ where: { id: place.runId }, data: { finishedAt } });
      const { _sum: sums } = await tx.discoveryPlace.aggregate({
        where: { runId: place.runId },
        _sum: { databases: true, added: true, changed: true, missing: true },
      });
      const details = { runId: place.runId, ...sums };
      await this.audit.append(tx, systemActor('discover', place.runId), { action: 'discovery.finish', details });
    });
  }

  /**
   * Begins a run of everything when the last such run is old enough and over: one that somebody asked for may be of a part. A
   * schedule of another process's may call here where this one is told not to; of several that do so at once, one begins.
   */
  async tick(): Promise<void> {
    const { discoveryMinutes } = this.settings;
    if (discoveryMinutes === 0) return;
    const now = this.clock.now().getTime();
    await this.db.client.discoveryRun.deleteMany({ where: { createdAt: { lt: new Date(now - KEPT_MS) } } });
    const places = await this.rds.places();
    if (places.length === 0) return;
    const since = new Date(now - discoveryMinutes * MINUTE_MS);
    const unfinished = { finishedAt: null, createdAt: { gt: new Date(now - LONGEST_RUN_MS) } };
    const actor = systemActor('discover', v7());
    await this.db.tx(async (tx) => {
      await tx.$queryRaw`SELECT pg_advisory_xact_lock(hashtext('usher discovery'))::text`;
      const where = { requestedBy: actor.name, OR: [{ createdAt: { gt: since } }, unfinished] };
      if ((await tx.discoveryRun.count({ where })) === 0) await this.begin(tx, actor, places, {});
    });
  }

  private async begin(tx: Tx, actor: Actor, places: readonly RdsPlace[], tags: RdsTags): Promise<DiscoveryRun> {
    const rows = places.map(({ partition, accountId, region }) => ({
      id: v7(),
      partition,
      accountId,
      region,
      state: 'waiting',
    }));
    const run = await tx.discoveryRun.create({
      data: { id: v7(), requestedBy: actor.name, tags, createdAt: this.clock.now(), places: { create: rows } },
      include: { places: { orderBy: { id: 'asc' } } },
    });
    const details = { runId: run.id, places: rows.length };
    await this.audit.append(tx, actor, { action: 'discovery.start', details });
    await this.jobs.enqueueAll(
      tx,
      'discover',
      rows.map(({ id }) => ({ data: { placeId: id } satisfies Due })),
    );
    return presentRun(run);
  }

  private async places({ accounts, regions }: StartDiscovery): Promise<RdsPlace[]> {
    const places = (await this.rds.places()).filter(
      ({ accountId, region }) => (accounts?.includes(accountId) ?? true) && (regions?.includes(region) ?? true),
    );
    if (places.length > 0) return places;
    throw new DomainError(
      'invalid',
      'invalid_input',
      'No registered account is enabled in a region that is asked for.',
      'GET /v1/accounts lists accounts and their regions; POST /v1/accounts registers one.',
    );
  }
}

const presentRun = ({
  id,
  requestedBy,
  createdAt,
  finishedAt,
  places,
}: RunRow & { places: PlaceRow[] }): DiscoveryRun => ({
  id,
  requestedBy,
  createdAt,
  finishedAt,
  places: places.map((place) => ({
    partition: place.partition,
    accountId: place.accountId,
    region: place.region,
    state: place.state,
    databases: place.databases,
    added: place.added,
    changed: place.changed,
    missing: place.missing,
    error: place.error,
    finishedAt: place.finishedAt,
  })),
});
