import { Args, ID, Mutation, Resolver } from '@nestjs/graphql';
import { Caller } from '../identity/actor.decorator.js';
import type { PersonActor } from '../platform/actor.js';
import { NotKeyed } from '../platform/http/idempotency.interceptor.js';
import { Requires } from '../policy/requires.js';
import { DiagnoseGrant, Diagnosis } from './diagnosis.contract.js';
import { DiagnosisService } from './diagnosis.service.js';

@Resolver(() => Diagnosis)
export class DiagnosisResolver {
  constructor(private readonly diagnosis: DiagnosisService) {}

  /** A mutation, though it changes nothing but the record: what may hold a token is never sent as a query */
  @Mutation(() => Diagnosis)
  @NotKeyed()
  @Requires('diagnose')
  diagnoseGrant(
    @Caller() actor: PersonActor,
    @Args('grantId', { type: () => ID }) grantId: string,
    @Args('input', { nullable: true }) input?: DiagnoseGrant,
  ): Promise<Diagnosis> {
    return this.diagnosis.diagnose(actor, grantId, input ?? {});
  }
}
