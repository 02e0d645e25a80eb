import { Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import { RdsService } from '../aws/rds.service.js';
import type { RdsPlace, RdsTags } from '../aws/rds.contract.js';
import type { Prisma } from '../generated/prisma/client.js';
import { Clock } from '../platform/clock.js';
import { Database, type Tx } from '../platform/state/database.js';
import { type DiscoveredFacts, fingerprintOf, hasTags } from './discovery.js';
import { databasesIn } from './discovery-reader.js';

export interface Look {
  databases: number;
  added: number;
  changed: number;
  missing: number;
}

/** Writes down what AWS says of one account and region, and nothing where that is known already. */
@Injectable()
export class DiscoveryRecord {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly rds: RdsService,
  ) {}

  /**
   * Nothing is marked missing unless all of the place was read.
   * @throws DomainError of the RDS calls
   */
  async look(place: RdsPlace, tags: RdsTags): Promise<Look> {
    const startedAt = this.clock.now();
    const look: Look = { databases: 0, added: 0, changed: 0, missing: 0 };
    const seen: string[] = [];
    for await (const page of databasesIn(this.rds, place)) {
      if (page.length === 0) continue;
      seen.push(...page.map(({ resourceId }) => resourceId));
      look.databases += page.length;
      const { added, changed } = await this.db.tx((tx) => this.page(tx, place, page, tags));
      look.added += added;
      look.changed += changed;
    }
    look.missing = await this.missing(place, seen, startedAt);
    return look;
  }

  private async page(tx: Tx, place: RdsPlace, page: readonly DiscoveredFacts[], tags: RdsTags) {
    const { partition, accountId, region } = place;
    const now = this.clock.now();
    const where = { partition, accountId, region, resourceId: { in: page.map(({ resourceId }) => resourceId) } };
    const select = { id: true, resourceId: true, fingerprint: true, missingSince: true };
    const known = new Map(
      (await tx.discoveredDatabase.findMany({ where, select })).map((row) => [row.resourceId, row]),
    );
    const fresh: Prisma.DiscoveredDatabaseCreateManyInput[] = [];
    let changed = 0;
    for (const facts of page) {
      const { resourceId, kind, identifier } = facts;
      const fingerprint = fingerprintOf(facts);
      const said = { kind, identifier, facts: facts as unknown as Prisma.InputJsonObject, fingerprint, changedAt: now };
      const row = known.get(resourceId);
      if (row === undefined) {
        if (hasTags(facts, tags))
          fresh.push({ id: v7(), partition, accountId, region, resourceId, ...said, foundAt: now });
      } else if (row.fingerprint !== fingerprint || row.missingSince !== null) {
        await tx.discoveredDatabase.update({ where: { id: row.id }, data: { ...said, missingSince: null } });
        changed++;
      }
    }
    // another run may have met the same ones at the same moment
    const { count } =
      fresh.length === 0 ? { count: 0 } : await tx.discoveredDatabase.createMany({ data: fresh, skipDuplicates: true });
    return { added: count, changed };
  }

  /** What another run has written since this one began is newer than what this one saw, and stays. */
  private async missing({ partition, accountId, region }: RdsPlace, seen: string[], startedAt: Date): Promise<number> {
    const now = this.clock.now();
    return this.db.client.$executeRaw`
      UPDATE discovered_database SET missing_since = ${now}, changed_at = ${now}
      WHERE partition = ${partition} AND account_id = ${accountId} AND region = ${region} AND missing_since IS NULL
        AND changed_at <= ${startedAt} AND NOT resource_id = ANY (${seen}::text[])`;
  }
}
