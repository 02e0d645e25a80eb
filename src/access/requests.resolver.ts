import { Args, ID, Mutation, Query, Resolver } from '@nestjs/graphql';
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

@Resolver(() => AccessRequest)
export class RequestsResolver {
  constructor(
    private readonly requests: RequestsService,
    private readonly decisions: DecisionsService,
    private readonly batch: DecisionBatch,
    private readonly edits: EditsService,
    private readonly reviews: RequestReviews,
  ) {}

  @Query(() => RequestPreview)
  @Requires('request')
  previewRequest(@Caller() actor: PersonActor, @Args('input') input: CreateRequest): Promise<RequestPreview> {
    return this.requests.preview(actor, input);
  }

  @Mutation(() => AccessRequest)
  @Requires('request')
  createRequest(@Caller() actor: PersonActor, @Args('input') input: CreateRequest): Promise<AccessRequest> {
    return this.requests.create(actor, input);
  }

  @Query(() => AccessRequestPage, { name: 'requests' })
  @Requires('viewRequests')
  list(@Caller() actor: Reader, @Args() query: RequestQuery): Promise<AccessRequestPage> {
    return this.requests.list(actor, query);
  }

  @Query(() => AccessRequest, { name: 'request' })
  @Requires('viewRequests')
  get(@Caller() actor: Reader, @Args('id', { type: () => ID }) id: string): Promise<AccessRequest> {
    return this.requests.get(actor, id);
  }

  @Query(() => RequestReview)
  @Requires('reviewRequest')
  requestReview(@Caller() actor: PersonActor, @Args('id', { type: () => ID }) id: string): Promise<RequestReview> {
    return this.reviews.review(actor, id);
  }

  @Mutation(() => AccessRequest)
  @Requires('editRequest')
  editRequest(
    @Caller() actor: PersonActor,
    @Args('id', { type: () => ID }) id: string,
    @Args('input') input: EditRequest,
  ): Promise<AccessRequest> {
    return this.edits.edit(actor, id, input);
  }

  @Mutation(() => DecisionResults)
  @Requires('viewRequests')
  decideRequests(@Caller() actor: PersonActor, @Args('input') input: DecideRequests): Promise<DecisionResults> {
    return this.batch.decide(actor, input);
  }

  @Mutation(() => AccessRequest)
  @Requires('approve')
  approveRequest(
    @Caller() actor: PersonActor,
    @Args('id', { type: () => ID }) id: string,
    @Args('input', { nullable: true }) input?: Approval,
  ): Promise<AccessRequest> {
    return this.decisions.approve(actor, id, input);
  }

  @Mutation(() => AccessRequest)
  @Requires('deny')
  denyRequest(
    @Caller() actor: PersonActor,
    @Args('id', { type: () => ID }) id: string,
    @Args('input', { nullable: true }) input?: Comment,
  ): Promise<AccessRequest> {
    return this.decisions.deny(actor, id, input?.comment);
  }

  @Mutation(() => AccessRequest)
  @Requires('cancel')
  cancelRequest(@Caller() actor: PersonActor, @Args('id', { type: () => ID }) id: string): Promise<AccessRequest> {
    return this.decisions.cancel(actor, id);
  }
}
