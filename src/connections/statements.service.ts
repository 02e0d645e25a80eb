import { Injectable } from '@nestjs/common';
import type { Reader } from '../platform/actor.js';
import { DomainError } from '../platform/errors.js';
import { readPage, toPage } from '../platform/page.js';
import { Database } from '../platform/state/database.js';
import { inTime } from '../platform/state/in-time.js';
import type { Visibility } from '../policy/visibility.js';
import { ConnectionsService } from './connections.service.js';
import type { About } from './gaps.queries.js';
import { GapsService } from './gaps.service.js';
import type { Statement, StatementAuditType, StatementPage, StatementQuery } from './statements.contract.js';
import { findStatements, placeOfSession, type StatementRow, type StatementSearch } from './statements.queries.js';

/** A log has millions of lines, and not every question has an index of its own. */
const IN_TIME = { mostMs: 5_000, advice: 'Narrow it by from and to, or name a class or an object.' };

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
   * @throws DomainError `policy_denied`, `invalid_input` (also for what takes too long to find), `invalid_cursor`
   */
  async list(actor: Reader, query: StatementQuery): Promise<StatementPage> {
    const seen = await this.connections.seenBy(actor);
    const { before, take, limit } = readPage(query);
    const asked = await this.led(seen, searchOf(query));
    if (asked === undefined) return { items: [], nextCursor: null, gaps: [] };
    const { search, about } = asked;
    const { from, to } = search;
    const [rows, gaps] = await Promise.all([
      inTime(this.db, IN_TIME, (read) => findStatements(read, seen, search, { before, take })),
      this.gaps.within(seen, { ...about, from, to }),
    ]);
    return { ...toPage(rows, limit, present), gaps };
  }

  /** The session by its first name, and where to look for gaps. @returns undefined where there is no such session for who asks */
  private async led(
    seen: Visibility,
    search: StatementSearch,
  ): Promise<{ search: StatementSearch; about: About } | undefined> {
    const { connection, person, grant } = search;
    const place = connection === undefined ? undefined : await placeOfSession(this.db.client, seen, connection);
    if (connection !== undefined && place === undefined) return undefined;
    const target = search.target ?? place?.target;
    const about = {
      ...(target !== undefined && { target }),
      ...(person !== undefined && { person }),
      ...(grant !== undefined && { grant }),
    };
    return { search: { ...search, ...(place && { connection: place.connection }) }, about };
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
