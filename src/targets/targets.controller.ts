import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import { Caller } from '../identity/actor.decorator.js';
import type { Actor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { ProfilesService } from './profiles.service.js';
import {
  CreateProfile,
  CreateTarget,
  PageArgs,
  Profile,
  Target,
  TargetPage,
  UpdateProfile,
  UpdateTarget,
} from './targets.contract.js';
import { TargetsService } from './targets.service.js';

@ApiTags('targets')
@ApiBearerAuth()
@Controller('v1/targets')
export class TargetsController {
  constructor(
    private readonly targets: TargetsService,
    private readonly profiles: ProfilesService,
  ) {}

  /** Register a database */
  @Post()
  @Requires('administerTargets')
  create(@Caller() actor: Actor, @Body() input: CreateTarget): Promise<Target> {
    return this.targets.create(actor, input);
  }

  /** Registered databases, newest first */
  @Get()
  @Requires('viewTargets')
  list(@Caller() actor: Actor, @Query() page: PageArgs): Promise<TargetPage> {
    return this.targets.list(actor, page);
  }

  /** One registered database */
  @Get(':id')
  @Requires('viewTargets')
  get(@Caller() actor: Actor, @Param('id') id: string): Promise<Target> {
    return this.targets.get(actor, id);
  }

  /** Change what is known of a database */
  @Patch(':id')
  @Requires('administerTargets')
  update(@Caller() actor: Actor, @Param('id') id: string, @Body() input: UpdateTarget): Promise<Target> {
    return this.targets.update(actor, id, input);
  }

  /** Take a database off the register: nothing new begins on it, what lives on it is ended, and then it is gone */
  @Delete(':id')
  @HttpCode(200)
  @Requires('administerTargets')
  delete(@Caller() actor: Actor, @Param('id') id: string): Promise<Target> {
    return this.targets.delete(actor, id);
  }

  /** Offer a level of access; it must be on the target's own allow-list */
  @Post(':id/profiles')
  @Requires('administerTargets')
  createProfile(@Caller() actor: Actor, @Param('id') id: string, @Body() input: CreateProfile): Promise<Profile> {
    return this.profiles.create(actor, id, input);
  }

  /** Levels of access of a database */
  @Get(':id/profiles')
  @Requires('viewTargets')
  listProfiles(@Caller() actor: Actor, @Param('id') id: string): Promise<Profile[]> {
    return this.profiles.list(actor, id);
  }

  /** Change a level of access, for what is opened from now on */
  @Patch(':id/profiles/:profileId')
  @Requires('administerTargets')
  updateProfile(
    @Caller() actor: Actor,
    @Param('id') id: string,
    @Param('profileId') profileId: string,
    @Body() input: UpdateProfile,
  ): Promise<Profile> {
    return this.profiles.update(actor, id, profileId, input);
  }

  /** Withdraw a level of access; refused while grants of it live */
  @Delete(':id/profiles/:profileId')
  @HttpCode(200)
  @Requires('administerTargets')
  deleteProfile(
    @Caller() actor: Actor,
    @Param('id') id: string,
    @Param('profileId') profileId: string,
  ): Promise<Profile> {
    return this.profiles.delete(actor, id, profileId);
  }
}
