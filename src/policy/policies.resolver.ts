import { Args, Int, Mutation, Query, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor } from '../platform/actor.js';
import {
  ActivatePolicies,
  CheckPolicies,
  PolicyCheck,
  PolicySet,
  PolicySimulation,
  PolicyVersionPage,
  PolicyVersionQuery,
  PolicyVersionText,
  RollBackPolicies,
  SimulatePolicies,
} from './policies.contract.js';
import { PoliciesService } from './policies.service.js';
import { PolicyTrialsService } from './policy-trials.service.js';
import { Requires } from './requires.js';

@Resolver(() => PolicySet)
export class PoliciesResolver {
  constructor(
    private readonly policies: PoliciesService,
    private readonly trials: PolicyTrialsService,
  ) {}

  @Query(() => PolicySet, { name: 'policies' })
  @Requires('viewPolicies')
  current(@Caller() actor: PersonActor): PolicySet {
    return this.policies.current(actor);
  }

  @Query(() => PolicyVersionPage, { name: 'policyVersions' })
  @Requires('viewPolicies')
  versions(@Caller() actor: PersonActor, @Args() query: PolicyVersionQuery): Promise<PolicyVersionPage> {
    return this.policies.versions(actor, query);
  }

  @Query(() => PolicyVersionText, { name: 'policyVersion' })
  @Requires('viewPolicies')
  version(
    @Caller() actor: PersonActor,
    @Args('number', { type: () => Int }) number: number,
  ): Promise<PolicyVersionText> {
    return this.policies.version(actor, number);
  }

  @Query(() => PolicyCheck)
  @Requires('administerPolicies')
  validatePolicies(@Caller() actor: PersonActor, @Args('input') input: CheckPolicies): Promise<PolicyCheck> {
    return this.trials.validate(actor, input);
  }

  @Query(() => PolicySimulation)
  @Requires('administerPolicies')
  simulatePolicies(@Caller() actor: PersonActor, @Args('input') input: SimulatePolicies): Promise<PolicySimulation> {
    return this.trials.simulate(actor, input);
  }

  @Mutation(() => PolicySet)
  @Requires('administerPolicies')
  activatePolicies(@Caller() actor: PersonActor, @Args('input') input: ActivatePolicies): Promise<PolicySet> {
    return this.policies.activate(actor, input);
  }

  @Mutation(() => PolicySet)
  @Requires('administerPolicies')
  rollBackPolicies(@Caller() actor: PersonActor, @Args('input') input: RollBackPolicies): Promise<PolicySet> {
    return this.policies.rollBack(actor, input);
  }
}
