import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { CreateService, LockService, Service, UpdateService } from './services.contract.js';
import { ServicesService } from './services.service.js';

@ApiTags('services')
@ApiBearerAuth()
@Controller('v1/services')
export class ServicesController {
  constructor(private readonly services: ServicesService) {}

  /** Register a portal, a bot or a job; it calls with a key of its own: POST /v1/services/{id}/keys */
  @Post()
  @Requires('administerServices')
  create(@Caller() actor: PersonActor, @Body() input: CreateService): Promise<Service> {
    return this.services.create(actor, input);
  }

  /** Every service there ever was, by name */
  @Get()
  @Requires('viewServices')
  list(@Caller() actor: PersonActor): Promise<Service[]> {
    return this.services.list(actor);
  }

  /** One service */
  @Get(':id')
  @Requires('viewServices')
  get(@Caller() actor: PersonActor, @Param('id') id: string): Promise<Service> {
    return this.services.get(actor, id);
  }

  /** Change what it is, its groups, and for whom it may act; from its next call on */
  @Patch(':id')
  @Requires('administerServices')
  update(@Caller() actor: PersonActor, @Param('id') id: string, @Body() input: UpdateService): Promise<Service> {
    return this.services.update(actor, id, input);
  }

  /** Take a service off for good: its keys end now, and what waits of its asking is cancelled */
  @Delete(':id')
  @HttpCode(200)
  @Requires('administerServices')
  remove(@Caller() actor: PersonActor, @Param('id') id: string): Promise<Service> {
    return this.services.remove(actor, id);
  }

  /** The kill switch: no key of it is taken until it is unlocked, and what waits of its asking is cancelled */
  @Post(':id/lock')
  @HttpCode(200)
  @Requires('lockServices')
  lock(@Caller() actor: PersonActor, @Param('id') id: string, @Body() input: LockService): Promise<Service> {
    return this.services.lock(actor, id, input.reason);
  }

  /** Let it call again, with the keys it has; what was cancelled stays so */
  @Post(':id/unlock')
  @HttpCode(200)
  @Requires('administerServices')
  unlock(@Caller() actor: PersonActor, @Param('id') id: string): Promise<Service> {
    return this.services.unlock(actor, id);
  }
}
