import { Body, Controller, Param, Post } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { ExtendGrant } from './extensions.contract.js';
import { ExtensionsService } from './extensions.service.js';
import { AccessRequest } from './requests.contract.js';

@ApiTags('grants')
@ApiBearerAuth()
@Controller('v1/grants')
export class ExtensionsController {
  constructor(private readonly extensions: ExtensionsService) {}

  /** Ask for more time on your own grant; agreed to, the same grant goes on to the new end */
  @Post(':id/extend')
  @Requires('request')
  extend(@Caller() actor: PersonActor, @Param('id') id: string, @Body() input: ExtendGrant): Promise<AccessRequest> {
    return this.extensions.extend(actor, id, input);
  }
}
