import { X509Certificate } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import { AuditService } from '../audit/audit.service.js';
import type { MirroredBundle as Row } from '../generated/prisma/client.js';
import { systemActor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { DomainError } from '../platform/errors.js';
import { Jobs } from '../platform/jobs/jobs.js';
import { Database, type Tx } from '../platform/state/database.js';
import { amazonRootsOfNode, checkForOthers, fetchBundle, readBundle, type CheckedBundle } from './trust-bundle.js';
import type { TrustMirror } from './trust.contract.js';
import { AMAZON_TRUST, bundleFile, bundleOf, bundles } from './trust.js';

/** A bundle as machines fetch it. */
export interface ServedBundle {
  readonly pem: string;
  /** Hex, of `pem`. */
  readonly sha256: string;
}

type Good = Row & { pem: string; sha256: string; changedAt: Date; checkedAt: Date };
const isGood = (row: Row | null): row is Good => row !== null && row.pem !== null;

const HOUR_MS = 3_600_000;
/** After a try that brought nothing. */
const AGAIN_MS = 10 * 60_000;
const NODE = 'node';

/**
 * Bundles fetched once, checked, kept in the state and handed on, for machines without a way to AWS. What is bad is refused,
 * and the last good one stays. Five collaborators: settings, state, time, record, jobs.
 */
@Injectable()
export class TrustMirrorService {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly audit: AuditService,
    private readonly jobs: Jobs,
  ) {}

  get isOn(): boolean {
    return this.settings.trustMirror.hours > 0;
  }

  /** Takes up the work of this process. */
  async startJobs(): Promise<void> {
    if (!this.settings.jobs) return;
    await this.jobs.work('trust-bundles', 1, () => this.tick());
    if (this.isOn) await this.jobs.every('trust-bundles', '* * * * *');
  }

  /** Looks at every bundle whose time has come. A schedule of another process's may call here where this one is told not to. */
  async tick(): Promise<void> {
    if (!this.isOn) return;
    const now = this.clock.now().getTime();
    const rows = new Map((await this.db.client.mirroredBundle.findMany()).map((row) => [row.name, row]));
    const isDue = (name: string): boolean => {
      const row = rows.get(name);
      const every = (row?.problem ?? null) === null ? this.settings.trustMirror.hours * HOUR_MS : AGAIN_MS;
      // a time to come: the clock was set back since; another source: what was mirrored is not what it says
      const elsewhere = row !== undefined && row.source !== this.sourceOf(name) && row.problem === null;
      return row === undefined || elsewhere || row.triedAt.getTime() + every <= now || row.triedAt.getTime() > now;
    };
    // what was mirrored stays so, while it is known where it comes from
    const known = new Set([AMAZON_TRUST, ...bundles(this.settings.trustOverrides).map(({ region }) => region)]);
    const names = new Set([...(await this.wanted()), ...rows.keys()]);
    await Promise.all([...names].filter((name) => known.has(name) && isDue(name)).map((name) => this.refresh(name)));
  }

  /** Fetches one bundle now. Its failure is noted, not thrown. */
  async refresh(name: string): Promise<void> {
    const source = this.sourceOf(name);
    let bytes: Buffer;
    try {
      bytes = await this.bytesFrom(name, source);
    } catch (error) {
      return this.failed(name, source, error);
    }
    let bundle: CheckedBundle;
    try {
      bundle = checkForOthers(bytes, source, this.clock.now());
    } catch (error) {
      return this.failed(name, source, error, 'refused');
    }
    // checked to be ASCII, so that text is the bytes
    await this.keep(name, bundle, bytes.toString('latin1'));
  }

  /**
   * What machines are given.
   * @throws DomainError not_found/`bundle_not_mirrored`, invalid/`unknown_region`
   */
  async served(name: string): Promise<ServedBundle> {
    if (name !== AMAZON_TRUST) bundleOf(name, this.settings.trustOverrides);
    const row = this.isOn ? await this.db.client.mirroredBundle.findUnique({ where: { name } }) : null;
    if (isGood(row)) return { pem: row.pem, sha256: row.sha256 };
    // why it is not there names places inside; whoever may see it asks for the mirror
    throw new DomainError(
      'not_found',
      'bundle_not_mirrored',
      `Usher has no bundle of ${name} to hand out.`,
      this.isOn
        ? 'Bundles are mirrored of regions where a target or an account is registered; GET /v1/trust/mirror says how far that is.'
        : 'Set USHER_TRUST_MIRROR_HOURS to have bundles mirrored; GET /v1/trust/bundles says where AWS has them.',
    );
  }

  /**
   * The last good bundle for Usher's own connections, fetched now where there is none yet.
   * @throws DomainError unavailable/`target_untrusted`
   */
  async forUsher(name: string): Promise<CheckedBundle> {
    const read = (): Promise<Row | null> => this.db.client.mirroredBundle.findUnique({ where: { name } });
    let row = await read();
    if (!isGood(row)) {
      await this.refresh(name);
      row = await read();
    }
    if (isGood(row)) return checkForOthers(Buffer.from(row.pem), row.source, this.clock.now());
    throw new DomainError(
      'unavailable',
      'target_untrusted',
      row?.problem ?? `The CA bundle of ${name} could not be fetched.`,
      'Let the service reach that address, or give it a PEM file for the region.',
    );
  }

  async list(): Promise<TrustMirror[]> {
    const rows = await this.db.client.mirroredBundle.findMany({ orderBy: { name: 'asc' } });
    return rows.map(({ name, source, sha256, changedAt, checkedAt, problem }) => ({
      ...{ name, path: pathOf(name), source, sha256, changedAt, checkedAt, problem },
    }));
  }

  /** Where clients fetch a bundle of that name from Usher; undefined where they are not told to. */
  urlOf(name: string): string | undefined {
    const { at } = this.settings.trustMirror;
    return this.isOn && at !== undefined ? new URL(pathOf(name), at).href : undefined;
  }

  /** Regions that somebody connects to, and the roots of Amazon Trust. */
  private async wanted(): Promise<string[]> {
    const [targets, accounts] = await Promise.all([
      this.db.client.target.findMany({ where: { deletedAt: null }, select: { region: true }, distinct: ['region'] }),
      this.db.client.awsAccount.findMany({ where: { enabled: true }, select: { regions: true } }),
    ]);
    const regions = [...targets.map(({ region }) => region), ...accounts.flatMap((account) => account.regions)];
    return [...new Set([AMAZON_TRUST, ...regions, ...Object.keys(this.settings.trustOverrides)])];
  }

  /** What the operator says of a region goes before what holds for all. */
  private sourceOf(name: string): string {
    const { trustOverrides, trustMirror } = this.settings;
    const override = Object.hasOwn(trustOverrides, name) ? trustOverrides[name] : undefined;
    if (override) return bundleFile(name, trustOverrides) ?? override.pem;
    if (name === AMAZON_TRUST) return NODE;
    if (trustMirror.from !== undefined)
      return `${trustMirror.from.replace(/(?<!\/)\/+$/, '')}/${encodeURIComponent(name)}/${encodeURIComponent(name)}-bundle.pem`;
    return bundleOf(name, trustOverrides).pemUrl;
  }

  private bytesFrom(name: string, source: string): Promise<Buffer> {
    if (source === NODE) return Promise.resolve(amazonRootsOfNode());
    return bundleFile(name, this.settings.trustOverrides) === undefined ? fetchBundle(source) : readBundle(source);
  }

  private async keep(name: string, { sha256, source }: CheckedBundle, pem: string): Promise<void> {
    await this.db.tx(async (tx) => {
      const now = this.clock.now();
      const before = await this.locked(tx, name, source, now);
      const same = before.sha256 === sha256;
      const data = { source, checkedAt: now, triedAt: now, problem: null };
      await tx.mirroredBundle.update({
        where: { name },
        data: same ? data : { ...data, pem, sha256, changedAt: now },
      });
      if (same) return;
      const details = { name, source, from: before.sha256, to: sha256, ...difference(before.pem ?? '', pem) };
      await this.audit.append(tx, systemActor('trust-bundles', v7()), { action: 'trust.bundleChanged', details });
    });
  }

  /** Notes that a try brought nothing. What was refused for its contents is on record once, not at each try. */
  private async failed(name: string, source: string, error: unknown, refused?: 'refused'): Promise<void> {
    if (!(error instanceof DomainError)) throw error;
    const { message: problem, code } = error;
    await this.db.tx(async (tx) => {
      const now = this.clock.now();
      const before = await this.locked(tx, name, source, now);
      // what is kept came from where it came from
      const kept = before.pem === null ? { source } : {};
      await tx.mirroredBundle.update({ where: { name }, data: { ...kept, triedAt: now, problem } });
      if (!refused || before.problem === problem) return;
      const details = { name, source, problem, kept: before.sha256 };
      await this.audit.append(tx, systemActor('trust-bundles', v7()), {
        action: 'trust.bundleRefused',
        outcome: 'refused',
        code,
        details,
      });
    });
  }

  /** The row, made where there is none: whoever comes at the same time waits, and sees what was found. */
  private async locked(tx: Tx, name: string, source: string, now: Date): Promise<Row> {
    const data = { name, source, triedAt: now, problem: 'It was not fetched yet.' };
    await tx.mirroredBundle.createMany({ data, skipDuplicates: true });
    await tx.$queryRaw`SELECT 1 FROM mirrored_bundle WHERE name = ${name} FOR UPDATE`;
    return tx.mirroredBundle.findUniqueOrThrow({ where: { name } });
  }
}

const pathOf = (name: string): string => `/v1/trust/bundles/${name}.pem`;

/** Which authorities came and which went, by name and fingerprint: two of the same name can be told apart. */
function difference(before: string, after: string): { added: string[]; removed: string[] } {
  const [old, now] = [named(before), named(after)];
  return { added: now.filter((one) => !old.includes(one)), removed: old.filter((one) => !now.includes(one)) };
}

const named = (pem: string): string[] =>
  (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map((block) => {
    const { subject, fingerprint256 } = new X509Certificate(block);
    return `${/^CN=(.*)$/m.exec(subject)?.[1] ?? subject} ${fingerprint256}`;
  });
