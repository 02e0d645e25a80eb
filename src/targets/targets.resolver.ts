import { Args, ID, Mutation, Query, Resolver } from '@nestjs/graphql';
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

@Resolver(() => Target)
export class TargetsResolver {
  constructor(
    private readonly targets: TargetsService,
    private readonly profiles: ProfilesService,
  ) {}

  @Mutation(() => Target)
  @Requires('administerTargets')
  createTarget(@Caller() actor: Actor, @Args('input') input: CreateTarget): Promise<Target> {
    return this.targets.create(actor, input);
  }

  @Query(() => TargetPage, { name: 'targets' })
  @Requires('viewTargets')
  list(@Caller() actor: Actor, @Args() page: PageArgs): Promise<TargetPage> {
    return this.targets.list(actor, page);
  }

  @Query(() => Target, { name: 'target' })
  @Requires('viewTargets')
  get(@Caller() actor: Actor, @Args('id', { type: () => ID }) id: string): Promise<Target> {
    return this.targets.get(actor, id);
  }

  @Mutation(() => Target)
  @Requires('administerTargets')
  updateTarget(
    @Caller() actor: Actor,
    @Args('id', { type: () => ID }) id: string,
    @Args('input') input: UpdateTarget,
  ): Promise<Target> {
    return this.targets.update(actor, id, input);
  }

  @Mutation(() => Target)
  @Requires('administerTargets')
  deleteTarget(@Caller() actor: Actor, @Args('id', { type: () => ID }) id: string): Promise<Target> {
    return this.targets.delete(actor, id);
  }

  @Mutation(() => Profile)
  @Requires('administerTargets')
  createProfile(
    @Caller() actor: Actor,
    @Args('targetId', { type: () => ID }) targetId: string,
    @Args('input') input: CreateProfile,
  ): Promise<Profile> {
    return this.profiles.create(actor, targetId, input);
  }

  @Query(() => [Profile], { name: 'profiles' })
  @Requires('viewTargets')
  listProfiles(@Caller() actor: Actor, @Args('targetId', { type: () => ID }) targetId: string): Promise<Profile[]> {
    return this.profiles.list(actor, targetId);
  }

  @Mutation(() => Profile)
  @Requires('administerTargets')
  updateProfile(
    @Caller() actor: Actor,
    @Args('targetId', { type: () => ID }) targetId: string,
    @Args('id', { type: () => ID }) id: string,
    @Args('input') input: UpdateProfile,
  ): Promise<Profile> {
    return this.profiles.update(actor, targetId, id, input);
  }

  @Mutation(() => Profile)
  @Requires('administerTargets')
  deleteProfile(
    @Caller() actor: Actor,
    @Args('targetId', { type: () => ID }) targetId: string,
    @Args('id', { type: () => ID }) id: string,
  ): Promise<Profile> {
    return this.profiles.delete(actor, targetId, id);
  }
}
