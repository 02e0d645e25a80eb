import { Injectable } from '@nestjs/common';
import { RequestsService } from '../access/requests.service.js';
import { ConnectionFlag } from '../connections/connections.contract.js';
import { ConnectionsService } from '../connections/connections.service.js';
import { GrantsService } from '../grants/grants.service.js';
import type { Reader } from '../platform/actor.js';
import { Follower, type Kind } from './follower.js';
import type { EventQuery, FlagEvent, GrantEvent, RequestEvent } from './streams.contract.js';

/**
 * What happens to requests and grants and which sessions are flagged, as it comes to be on record. Somebody hears of what their list
 * would show them at that very moment, and of nothing else.
 */
@Injectable()
export class StreamsService {
  constructor(
    private readonly follower: Follower,
    private readonly requests: RequestsService,
    private readonly grants: GrantsService,
    private readonly connections: ConnectionsService,
  ) {}

  /** @throws DomainError `policy_denied`, `invalid_cursor`, `events_dropped` */
  requestEvents(actor: Reader, query: EventQuery): Promise<AsyncIterator<RequestEvent>> {
    const kind: Kind<RequestEvent> = {
      noun: 'request',
      action: 'viewRequests',
      show: async (reader, ids) => {
        const seen = byId(await this.requests.seen(reader, ids));
        return ({ sequence, at, action, outcome, ids: [requestId = ''] }) => {
          const request = seen.get(requestId);
          return request && { sequence, at, action, outcome, requestId, request };
        };
      },
    };
    return this.follower.begin(actor, query, kind);
  }

  /** @throws DomainError `policy_denied`, `invalid_cursor`, `events_dropped` */
  grantEvents(actor: Reader, query: EventQuery): Promise<AsyncIterator<GrantEvent>> {
    const kind: Kind<GrantEvent> = {
      noun: 'grant',
      action: 'viewGrants',
      show: async (reader, ids) => {
        const seen = byId(await this.grants.seen(reader, ids));
        return ({ sequence, at, action, outcome, ids: [grantId = ''] }) => {
          const grant = seen.get(grantId);
          return grant && { sequence, at, action, outcome, grantId, requestId: grant.requestId, grant };
        };
      },
    };
    return this.follower.begin(actor, query, kind);
  }

  /** @throws DomainError `policy_denied`, `invalid_cursor`, `events_dropped` */
  flagEvents(actor: Reader, query: EventQuery): Promise<AsyncIterator<FlagEvent>> {
    const kind: Kind<FlagEvent> = {
      noun: 'flag',
      action: 'viewConnections',
      show: async (reader, ids) => {
        const seen = byId(await this.connections.seen(reader, ids));
        return ({ sequence, at, action, ids: flagged, flags }) => {
          const connections = flagged.flatMap((id) => seen.get(id) ?? []);
          const [first] = connections;
          return first && { sequence, at, action, targetId: first.targetId, flags: flags.filter(isFlag), connections };
        };
      },
    };
    return this.follower.begin(actor, query, kind);
  }
}

const byId = <T extends { id: string }>(rows: readonly T[]): ReadonlyMap<string, T> =>
  new Map(rows.map((row) => [row.id, row]));

const isFlag = (flag: string): flag is ConnectionFlag => flag in ConnectionFlag;
