import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import {
  AccessRequest,
  AccessRequestPage,
  Approval,
  Comment,
  CreateRequest,
  RequestPreview,
  RequestQuery,
} from './requests.contract.js';
import { RequestsService } from './requests.service.js';

@ApiTags('requests')
@ApiBearerAuth()
@Controller('v1/requests')
export class RequestsController {
  constructor(private readonly requests: RequestsService) {}

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

  /** Requests that you may see, newest first */
  @Get()
  @Requires('viewRequests')
  list(@Caller() actor: PersonActor, @Query() query: RequestQuery): Promise<AccessRequestPage> {
    return this.requests.list(actor, query);
  }

  /** One request, with its plan */
  @Get(':id')
  @Requires('viewRequests')
  get(@Caller() actor: PersonActor, @Param('id') id: string): Promise<AccessRequest> {
    return this.requests.get(actor, id);
  }

  /** Agree to the plan as it stands; the last yes that is needed opens the access, or gives it more time */
  @Post(':id/approve')
  @HttpCode(200)
  @Requires('approve')
  approve(@Caller() actor: PersonActor, @Param('id') id: string, @Body() input?: Approval): Promise<AccessRequest> {
    return this.requests.approve(actor, id, input);
  }

  /** Refuse */
  @Post(':id/deny')
  @HttpCode(200)
  @Requires('deny')
  deny(@Caller() actor: PersonActor, @Param('id') id: string, @Body() input?: Comment): Promise<AccessRequest> {
    return this.requests.deny(actor, id, input?.comment);
  }

  /** Take your own request back */
  @Post(':id/cancel')
  @HttpCode(200)
  @Requires('cancel')
  cancel(@Caller() actor: PersonActor, @Param('id') id: string): Promise<AccessRequest> {
    return this.requests.cancel(actor, id);
  }
}
