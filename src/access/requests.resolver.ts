import { Args, ID, Mutation, Query, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor, Reader } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import {
  AccessRequest,
  AccessRequestPage,
  Approval,
  CreateRequest,
  RequestPreview,
  RequestQuery,
  Comment,
} from './requests.contract.js';
import { RequestsService } from './requests.service.js';

@Resolver(() => AccessRequest)
export class RequestsResolver {
  constructor(private readonly requests: RequestsService) {}

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

  @Mutation(() => AccessRequest)
  @Requires('approve')
  approveRequest(
    @Caller() actor: PersonActor,
    @Args('id', { type: () => ID }) id: string,
    @Args('input', { nullable: true }) input?: Approval,
  ): Promise<AccessRequest> {
    return this.requests.approve(actor, id, input);
  }

  @Mutation(() => AccessRequest)
  @Requires('deny')
  denyRequest(
    @Caller() actor: PersonActor,
    @Args('id', { type: () => ID }) id: string,
    @Args('input', { nullable: true }) input?: Comment,
  ): Promise<AccessRequest> {
    return this.requests.deny(actor, id, input?.comment);
  }

  @Mutation(() => AccessRequest)
  @Requires('cancel')
  cancelRequest(@Caller() actor: PersonActor, @Args('id', { type: () => ID }) id: string): Promise<AccessRequest> {
    return this.requests.cancel(actor, id);
  }
}
