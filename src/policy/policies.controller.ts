import { Body, Controller, Get, HttpCode, Param, Post, Put, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
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

@ApiTags('policies')
@ApiBearerAuth()
@Controller('v1/policies')
export class PoliciesController {
  constructor(
    private readonly policies: PoliciesService,
    private readonly trials: PolicyTrialsService,
  ) {}

  /** The policies that rule now, and the schema they are written by */
  @Get()
  @Requires('viewPolicies')
  current(@Caller() actor: PersonActor): PolicySet {
    return this.policies.current(actor);
  }

  /** Store a text as the next version, and let it rule in every process */
  @Put()
  @Requires('administerPolicies')
  activate(@Caller() actor: PersonActor, @Body() input: ActivatePolicies): Promise<PolicySet> {
    return this.policies.activate(actor, input);
  }

  /** Every version that ever ruled, the newest first: who wrote it, why, and who activated it */
  @Get('versions')
  @Requires('viewPolicies')
  versions(@Caller() actor: PersonActor, @Query() query: PolicyVersionQuery): Promise<PolicyVersionPage> {
    return this.policies.versions(actor, query);
  }

  /** One version, and how it differs from the one before */
  @Get('versions/:number')
  @Requires('viewPolicies')
  version(@Caller() actor: PersonActor, @Param('number') number: string): Promise<PolicyVersionText> {
    return this.policies.version(actor, Number(number));
  }

  /** What is wrong with a text; nothing is changed */
  @Post('validate')
  @HttpCode(200)
  @Requires('administerPolicies')
  validate(@Caller() actor: PersonActor, @Body() input: CheckPolicies): Promise<PolicyCheck> {
    return this.trials.validate(actor, input);
  }

  /** A dry run: which of the newest decisions would be others under a text; nothing is changed */
  @Post('simulate')
  @HttpCode(200)
  @Requires('administerPolicies')
  simulate(@Caller() actor: PersonActor, @Body() input: SimulatePolicies): Promise<PolicySimulation> {
    return this.trials.simulate(actor, input);
  }

  /** Let an earlier version rule again, or what is shipped */
  @Post('rollback')
  @HttpCode(200)
  @Requires('administerPolicies')
  rollBack(@Caller() actor: PersonActor, @Body() input: RollBackPolicies): Promise<PolicySet> {
    return this.policies.rollBack(actor, input);
  }
}
