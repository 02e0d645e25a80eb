import { Injectable } from '@nestjs/common';
import type { Reader } from '../platform/actor.js';
import { DomainError } from '../platform/errors.js';
import { readPage, toPage } from '../platform/page.js';
import { Database } from '../platform/state/database.js';
import type { Visibility } from '../policy/visibility.js';
import { ConnectionsService } from './connections.service.js';
import type { About } from './gaps.queries.js';
import { GapsService } from './gaps.service.js';
import type { Statement, StatementAuditType, StatementPage, StatementQuery } from './statements.contract.js';
import { findStatements, targetOfSession, type StatementRow, type StatementSearch } from './statements.queries.js';

/** What was run on targets, and by whom: the lines of pgaudit in their logs, each led back to its session. */
@Injectable()
export class StatementsService {
  constructor(
    private readonly db: Database,
    private readonly connections: ConnectionsService,
    private readonly gaps: GapsService,
  ) {}

  /**
   * Those of sessions that the actor may see, and of no known session on targets of which they may see all; newest first.
   * @throws DomainError `policy_denied`, `invalid_input`, `invalid_cursor`
   */
  async list(actor: Reader, query: StatementQuery): Promise<StatementPage> {
    const seen = await this.connections.seenBy(actor);
    const search = searchOf(query);
    const { before, take, limit } = readPage(query);
    const about = await this.about(seen, search);
    if (about === undefined) return { items: [], nextCursor: null, gaps: [] };
    const { from, to } = search;
    const [rows, gaps] = await Promise.all([
      findStatements(this.db.client, seen, search, { before, take }),
      this.gaps.within(seen, { ...about, from, to }),
    ]);
    return { ...toPage(rows, limit, present), gaps };
  }

  /** Where to look for gaps. @returns undefined where there is no such session for who asks */
  private async about(seen: Visibility, search: StatementSearch): Promise<About | undefined> {
    const { connection, person, grant } = search;
    const of = connection === undefined ? undefined : await targetOfSession(this.db.client, seen, connection);
    if (connection !== undefined && of === undefined) return undefined;
    const target = search.target ?? of;
    return {
      ...(target !== undefined && { target }),
      ...(person !== undefined && { person }),
      ...(grant !== undefined && { grant }),
    };
  }
}

/** @throws DomainError `invalid_input` for a question that nothing leads to, for times that contradict each other, and for what is no name */
function searchOf({ from, to, command, target, ...query }: StatementQuery): StatementSearch {
  if ((query.connection ?? query.person ?? query.grant ?? target) === undefined)
    throw unclear('target', 'a connection, a person, a grant or a target, at least one of them.');
  if (from !== undefined && to !== undefined && from > to) throw unclear('to', 'a time that is not before from.');
  for (const [field, name] of Object.entries({ command, object: query.object }))
    if (name?.includes('\0') === true) throw unclear(field, `${field} as PostgreSQL names it: without zero bytes.`);
  return {
    ...query,
    ...(target !== undefined && { target: target.toLowerCase() }), // as in the ids of what somebody owns
    command: command?.toUpperCase(), // PostgreSQL's names of commands have no small letters
    ...{ from: from ?? null, to: to ?? null },
  };
}

const unclear = (field: string, wanted: string): DomainError =>
  new DomainError('invalid', 'invalid_input', 'It is unclear which statements are meant.', `Give ${wanted}`, {
    fields: [{ field, message: `Give ${wanted}` }],
  });

const present = (row: StatementRow): Statement => ({
  id: row.id,
  at: row.at,
  connectionId: row.connectionId,
  personId: row.personId,
  personName: row.personName,
  grantId: row.grantId,
  login: row.login,
  database: row.database,
  targetId: row.targetId,
  auditType: row.auditType as StatementAuditType,
  class: row.class,
  command: row.command,
  objectType: row.objectType,
  objectName: row.objectName,
  statementId: row.statementId,
  substatementId: row.substatementId,
});
