import { Args, ID, Mutation, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor } from '../platform/actor.js';
import { Requires } from '../policy/requires.js';
import { ExtendGrant } from './extensions.contract.js';
import { ExtensionsService } from './extensions.service.js';
import { AccessRequest } from './requests.contract.js';

@Resolver(() => AccessRequest)
export class ExtensionsResolver {
  constructor(private readonly extensions: ExtensionsService) {}

  @Mutation(() => AccessRequest)
  @Requires('request')
  extendGrant(
    @Caller() actor: PersonActor,
    @Args('id', { type: () => ID }) id: string,
    @Args('input') input: ExtendGrant,
  ): Promise<AccessRequest> {
    return this.extensions.extend(actor, id, input);
  }
}
