import { Injectable } from '@nestjs/common';
import type { Reader } from '../platform/actor.js';
import { readPage, toPage } from '../platform/page.js';
import { Database } from '../platform/state/database.js';
import type { LoginFailure } from '../postgres/server-log.contract.js';
import { ConnectionsService } from './connections.service.js';
import { evidenceOf, type Evidence } from './evidence.queries.js';
import { GapsService } from './gaps.service.js';
import { advice, causeOf } from './login-failure.js';
import type { FailedLoginAttempt, FailedLoginPage, FailedLoginQuery } from './login-failures.contract.js';
import { failedLogins, type FailedLoginRow } from './login-failures.queries.js';

/** A grant that ended so long ago is not why somebody tries today. */
const REMEMBERED_MS = 30 * 86_400_000;

/** Logins that failed, as the logs of the servers have them, with the likeliest cause. */
@Injectable()
export class LoginFailuresService {
  constructor(
    private readonly db: Database,
    private readonly connections: ConnectionsService,
    private readonly gaps: GapsService,
  ) {}

  /** @throws DomainError `policy_denied`, `invalid_cursor` */
  async list(actor: Reader, query: FailedLoginQuery): Promise<FailedLoginPage> {
    const seen = await this.connections.seenBy(actor);
    const { before, take, limit } = readPage(query);
    const { target, person, from = null, to = null } = query;
    const about = { ...(target !== undefined && { target }), ...(person !== undefined && { person }) };
    const [rows, gaps] = await Promise.all([
      failedLogins(this.db.client, seen, query, { before, take }),
      this.gaps.within(seen, { ...about, from, to }),
    ]);
    const evidence = await this.evidence(rows);
    return { ...toPage(rows, limit, (row) => present(row, evidence.get(row.targetId))), gaps };
  }

  /** By target: what is known of the logins that were tried there. */
  private async evidence(rows: readonly FailedLoginRow[]): Promise<Map<string, Evidence>> {
    const found = new Map<string, Evidence>();
    for (const targetId of new Set(rows.map((row) => row.targetId))) {
      const here = rows.filter((row) => row.targetId === targetId);
      const first = Math.min(...here.map(({ at }) => at.getTime()));
      const logins = [...new Set(here.map(({ login }) => login))];
      found.set(targetId, await evidenceOf(this.db.client, targetId, logins, new Date(first - REMEMBERED_MS)));
    }
    return found;
  }
}

function present(row: FailedLoginRow, evidence: Evidence | undefined): FailedLoginAttempt {
  const { endpointKind: kind, tokenHost, endpointPort: port } = row;
  const failed = {
    ...{ login: row.login, isPersons: row.personId !== null, failure: row.failure as LoginFailure },
    at: new Date(row.at.getTime() - row.clockAheadMs),
  };
  const seenAt = kind !== null && tokenHost !== null && port !== null ? { kind, tokenHost, port } : undefined;
  const cause = causeOf(failed, evidence?.grants ?? [], evidence?.mints ?? [], seenAt);
  return {
    ...{ id: row.id, targetId: row.targetId, endpointId: row.endpointId, at: row.at, login: row.login },
    ...{ database: row.database, clientAddress: row.clientAddress, personId: row.personId, personName: row.personName },
    ...{ failure: row.failure, sqlstate: row.sqlstate, cause, advice: advice[cause] },
  };
}
