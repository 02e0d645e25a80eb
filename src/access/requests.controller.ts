import { Body, Controller, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor, Reader } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { DecisionBatch } from './decision-batch.service.js';
import { Approval, Comment, DecideRequests, DecisionResults } from './decisions.contract.js';
import { DecisionsService } from './decisions.service.js';
import { EditRequest } from './edits.contract.js';
import { EditsService } from './edits.service.js';
import { AccessRequest, AccessRequestPage, CreateRequest, RequestPreview, RequestQuery } from './requests.contract.js';
import { RequestsService } from './requests.service.js';
import { RequestReview } from './request-reviews.contract.js';
import { RequestReviews } from './request-reviews.service.js';

@ApiTags('requests')
@ApiBearerAuth()
@Controller('v1/requests')
export class RequestsController {
  constructor(
    private readonly requests: RequestsService,
    private readonly decisions: DecisionsService,
    private readonly batch: DecisionBatch,
    private readonly edits: EditsService,
    private readonly reviews: RequestReviews,
  ) {}

  /** What a request would come to: decision and plan; nothing is stored */
  @Post('preview')
  @HttpCode(200)
  @Requires('request')
  preview(@Caller() actor: PersonActor, @Body() input: CreateRequest): Promise<RequestPreview> {
    return this.requests.preview(actor, input);
  }

  /** Ask for access; with breakGlass at once, and under review */
  @Post()
  @Requires('request')
  create(@Caller() actor: PersonActor, @Body() input: CreateRequest): Promise<AccessRequest> {
    return this.requests.create(actor, input);
  }

  /** Approve or deny up to 50 at once, each for itself: one that is refused does not stop the others */
  @Post('decisions')
  @HttpCode(200)
  @Requires('viewRequests')
  decide(@Caller() actor: PersonActor, @Body() input: DecideRequests): Promise<DecisionResults> {
    return this.batch.decide(actor, input);
  }

  /** Requests that you may see, newest first */
  @Get()
  @Requires('viewRequests')
  list(@Caller() actor: Reader, @Query() query: RequestQuery): Promise<AccessRequestPage> {
    return this.requests.list(actor, query);
  }

  /** One request, with its plan */
  @Get(':id')
  @Requires('viewRequests')
  get(@Caller() actor: Reader, @Param('id') id: string): Promise<AccessRequest> {
    return this.requests.get(actor, id);
  }

  /** Change your own request while it waits; whoever agreed must look again */
  @Patch(':id')
  @Requires('editRequest')
  edit(@Caller() actor: PersonActor, @Param('id') id: string, @Body() input: EditRequest): Promise<AccessRequest> {
    return this.edits.edit(actor, id, input);
  }

  /** What an approver judges it by: who may still agree, what the requester has, when it was last used, earlier requests */
  @Get(':id/review')
  @Requires('reviewRequest')
  review(@Caller() actor: PersonActor, @Param('id') id: string): Promise<RequestReview> {
    return this.reviews.review(actor, id);
  }

  /** Agree to the plan as it stands; the last yes that is needed opens the access, or gives it more time */
  @Post(':id/approve')
  @HttpCode(200)
  @Requires('approve')
  approve(@Caller() actor: PersonActor, @Param('id') id: string, @Body() input?: Approval): Promise<AccessRequest> {
    return this.decisions.approve(actor, id, input);
  }

  /** Refuse */
  @Post(':id/deny')
  @HttpCode(200)
  @Requires('deny')
  deny(@Caller() actor: PersonActor, @Param('id') id: string, @Body() input?: Comment): Promise<AccessRequest> {
    return this.decisions.deny(actor, id, input?.comment);
  }

  /** Take your own request back */
  @Post(':id/cancel')
  @HttpCode(200)
  @Requires('cancel')
  cancel(@Caller() actor: PersonActor, @Param('id') id: string): Promise<AccessRequest> {
    return this.decisions.cancel(actor, id);
  }
}
