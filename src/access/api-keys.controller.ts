import { Body, Controller, Delete, Get, HttpCode, Param, Post } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor } from '../platform/actor.js';
import { NotReplayed } from '../platform/http/idempotency.interceptor.js';
import { Requires } from '../policy/requires.js';
import { ApiKey, CreateKey, NewKey, RotateKey } from './api-keys.contract.js';
import { ApiKeysService } from './api-keys.service.js';

@ApiTags('services')
@ApiBearerAuth()
@Controller('v1/services/:id/keys')
export class ApiKeysController {
  constructor(private readonly keys: ApiKeysService) {}

  /** A key for a service. It is in this answer and nowhere else, ever: the same Idempotency-Key makes another one */
  @Post()
  @NotReplayed()
  @Requires('administerServices')
  create(@Caller() actor: PersonActor, @Param('id') id: string, @Body() input: CreateKey): Promise<NewKey> {
    return this.keys.create(actor, id, input);
  }

  /** Every key that a service ever had, newest first */
  @Get()
  @Requires('viewServices')
  list(@Caller() actor: PersonActor, @Param('id') id: string): Promise<ApiKey[]> {
    return this.keys.list(actor, id);
  }

  /** A new key with the same scopes, beside which the old one works on for a while */
  @Post(':keyId/rotate')
  @NotReplayed()
  @Requires('administerServices')
  rotate(
    @Caller() actor: PersonActor,
    @Param('id') id: string,
    @Param('keyId') keyId: string,
    @Body() input?: RotateKey,
  ): Promise<NewKey> {
    return this.keys.rotate(actor, id, keyId, input ?? {});
  }

  /** End a key now, on every replica */
  @Delete(':keyId')
  @HttpCode(200)
  @Requires('administerServices')
  revoke(@Caller() actor: PersonActor, @Param('id') id: string, @Param('keyId') keyId: string): Promise<ApiKey> {
    return this.keys.revoke(actor, id, keyId);
  }
}
