import { Inject, Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import type { Prisma } from '../generated/prisma/client.js';
import { IdentityService } from '../identity/identity.service.js';
import { refuseAbsent } from '../identity/standing.js';
import type { PersonActor, Reader } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { SETTINGS, type Settings } from '../platform/config.js';
import { DomainError } from '../platform/errors.js';
import { asId, readPage, toPage } from '../platform/page.js';
import { Database } from '../platform/state/database.js';
import { absent } from '../policy/policy.service.js';
import { TargetsService } from '../targets/targets.service.js';
import { newRequest, presentDecision } from './draft.js';
import { Drafts } from './drafts.service.js';
import { presentRequest, withVotes } from './request.js';
import { RequestLedger } from './request-ledger.js';
import { RequestSight } from './request-sight.js';
import type {
  AccessRequest,
  AccessRequestPage,
  CreateRequest,
  RequestPreview,
  RequestQuery,
} from './requests.contract.js';

/** Who asks for what. So many collaborators because this is where the flows of the product meet. */
@Injectable()
export class RequestsService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly sight: RequestSight,
    private readonly drafts: Drafts,
    private readonly identity: IdentityService,
    private readonly targets: TargetsService,
    private readonly ledger: RequestLedger,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  /** What a request would come to; nothing is stored, also when policy refuses. */
  async preview(actor: PersonActor, input: CreateRequest): Promise<RequestPreview> {
    const draft = await this.drafts.draft(actor, input);
    const decision = presentDecision(draft);
    if (!decision.allowed) return { decision, plan: null };
    const login = await this.identity.previewLogin(actor.id, draft.target.masterUser ?? undefined, draft.method);
    return { decision, plan: await this.drafts.plan(draft, login, actor.id, v7(), null) };
  }

  /** @throws DomainError `policy_denied`, `invalid_duration`, `profile_not_allowed`, `target_unreachable`, … with nothing stored */
  async create(actor: PersonActor, input: CreateRequest): Promise<AccessRequest> {
    const draft = await this.drafts.draft(actor, input);
    this.drafts.authorize(actor, draft, input);
    const grantId = v7();
    const { target, method } = draft;
    const preview = await this.identity.previewLogin(actor.id, target.masterUser ?? undefined, method);
    const plan = await this.drafts.plan(draft, preview, actor.id, grantId, null);
    return this.db.tx(async (tx) => {
      refuseAbsent(await this.identity.hold(tx, [actor.id])); // both may have left since
      await this.targets.offered(tx, target.id);
      const login = await this.identity.loginFor(tx, actor.id, target.masterUser ?? undefined, method);
      if (login !== plan.login)
        throw new DomainError(
          'conflict',
          'concurrent_change',
          'Somebody else was given the login name of the plan.',
          'Repeat the call.',
        );
      const own = { grantId, personId: actor.id, plan, now: this.clock.now(), ttl: this.settings.requestTtlMinutes };
      return presentRequest(await this.ledger.add(tx, actor, newRequest(draft, input, own)));
    });
  }

  async list(actor: Reader, query: RequestQuery): Promise<AccessRequestPage> {
    const seen = await this.sight.of(actor);
    const { before, take, limit } = readPage(query);
    const wanted: Prisma.RequestWhereInput = {
      ...(query.target !== undefined && { targetId: query.target }),
      ...(query.person !== undefined && { personId: query.person }),
      ...(query.state !== undefined && { state: query.state }),
    };
    const rows = await this.db.client.request.findMany({
      where: { AND: [seen, wanted, before === undefined ? {} : { id: { lt: before } }] },
      orderBy: { id: 'desc' },
      take,
      include: withVotes,
    });
    return toPage(rows, limit, presentRequest);
  }

  /** Of these requests, those that somebody may see. @throws DomainError `policy_denied` */
  async seen(actor: Reader, ids: readonly string[]): Promise<AccessRequest[]> {
    const where = { AND: [await this.sight.of(actor), { id: { in: [...ids] } }] };
    const rows = await this.db.client.request.findMany({ where, include: withVotes });
    return rows.map(presentRequest);
  }

  /** @throws DomainError `request_not_found`, also for one that this person may not see */
  async get(actor: Reader, id: string): Promise<AccessRequest> {
    const where = { AND: [await this.sight.of(actor), { id: asId(id, 'request id') }] };
    const row = await this.db.client.request.findFirst({ where, include: withVotes });
    if (!row) throw absent.request();
    return presentRequest(row);
  }
}
