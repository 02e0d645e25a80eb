import { Injectable } from '@nestjs/common';
import type { Prisma } from '../generated/prisma/client.js';
import { Clock } from '../platform/clock.js';
import { RecentlyUsed } from '../platform/recently-used.js';
import { Database } from '../platform/state/database.js';
import type { Sighting, TargetSession } from '../postgres/postgres.contract.js';
import { TargetAccess } from '../targets/target-access.service.js';
import type { TargetRow } from '../targets/target.js';

/** An endpoint that is looked at, with its target. */
export interface Watched {
  target: TargetRow;
  endpoint: TargetRow['endpoints'][number];
}

/** What a look showed. */
export interface Seen {
  sighting: Sighting;
  /** When the server was asked; it was entered before. */
  asked: Date;
  /** How long it took to answer, in milliseconds. Entering it is no part of this: that is once in many looks. */
  tookMs: number;
}

interface Kept {
  /** What it was opened for: a target that was changed is entered anew. */
  mark: string;
  until: number;
  guard: TargetSession;
}

const MAX_KEPT = 10_000;
/** After so long the way in is made out anew: trust and secrets may have changed. */
const KEPT_MS = 10 * 60_000;

/** One kept connection to each endpoint, on which one query is asked at a time. */
@Injectable()
export class LookOut {
  private readonly kept = new RecentlyUsed<Kept>(MAX_KEPT);

  constructor(
    private readonly db: Database,
    private readonly access: TargetAccess,
    private readonly clock: Clock,
  ) {}

  /** Every endpoint that is looked at. */
  async all(): Promise<Watched[]> {
    return this.places({ deletedAt: null });
  }

  /** Those of these ids that are still there. */
  async named(ids: readonly string[]): Promise<Watched[]> {
    const wanted = new Set(ids);
    const found = await this.places({ deletedAt: null, endpoints: { some: { id: { in: [...ids] } } } });
    return found.filter(({ endpoint }) => wanted.has(endpoint.id));
  }

  /** @throws DomainError `target_unreachable`, `target_untrusted`, `target_refused`, `target_not_ready`, `aws_denied`, `aws_unavailable` */
  async look({ target, endpoint }: Watched): Promise<Seen> {
    const mark = `${target.updatedAt.toISOString()} ${endpoint.connectHost}:${endpoint.port}`;
    const now = this.clock.now().getTime();
    const known = this.kept.get(endpoint.id);
    const usable = known?.mark === mark && known.until > now ? known : undefined;
    const guard = usable?.guard ?? (await this.access.endpoint(target, endpoint, 'observe'));
    try {
      const asked = this.clock.now();
      const began = performance.now();
      const sighting = await guard.sessions();
      const tookMs = performance.now() - began;
      if (!usable) this.kept.set(endpoint.id, { mark, until: now + KEPT_MS, guard });
      return { sighting, asked, tookMs };
    } catch (error) {
      this.kept.delete(endpoint.id);
      throw error;
    }
  }

  private async places(where: Prisma.TargetWhereInput): Promise<Watched[]> {
    const targets = await this.db.client.target.findMany({ where, include: { endpoints: true } });
    return targets.flatMap((target) => target.endpoints.filter(isOwn).map((endpoint) => ({ target, endpoint })));
  }
}

/** Custom endpoints and proxies lead to instances that are looked at under their own endpoints. */
const isOwn = ({ kind }: Watched['endpoint']): boolean => kind === 'writer' || kind === 'reader' || kind === 'instance';
