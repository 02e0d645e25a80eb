import type { IncomingHttpHeaders } from 'node:http';
import { Injectable } from '@nestjs/common';
import { IdentityService } from '../identity/identity.service.js';
import { ServiceKeysService } from '../identity/service-keys.service.js';
import { ServiceTokensService } from '../identity/service-tokens.service.js';
import { callerKey, type Reader, type ServiceActor } from '../platform/actor.js';
import type { Call } from '../platform/call.js';
import { DomainError } from '../platform/errors.js';
import { RateLimits } from '../platform/http/rate-limits.js';
import { refuseBeyondKey } from './key-scope.js';
import { PolicyService } from './policy.service.js';

/** Establishes who calls, and for whom, and counts it. */
@Injectable()
export class Admission {
  constructor(
    private readonly identity: IdentityService,
    private readonly keys: ServiceKeysService,
    private readonly tokens: ServiceTokensService,
    private readonly policy: PolicyService,
    private readonly limits: RateLimits,
  ) {}

  /**
   * Once a call. Each step is known to the call before the next: a refusal names who was there by then.
   * @throws DomainError `token_missing`, `token_invalid`, `key_invalid`, `service_locked`, `unknown_client`, `unknown_person`, `policy_denied`,
   *   `too_many_requests`, …
   */
  async admit(call: Call, headers: IncomingHttpHeaders): Promise<void> {
    if (call.actor) return;
    const caller = await this.authenticate(call, headers.authorization);
    call.actor = caller;
    const [name, token] = [headers['usher-on-behalf-of'], headers['usher-on-behalf-of-token']].map((value) =>
      value === undefined ? undefined : String(value),
    );
    // present and empty is a fault of the caller's, and never a call for itself
    const forSomebody = name !== undefined || token !== undefined;
    // a person has as many calls through each service as without any; a service that fails to name one spends its own
    if (!forSomebody || caller.kind === 'person') await this.limits.countPerson(call, callerKey(caller));
    if (!forSomebody) return;
    if (caller.kind === 'person') throw onlyServices();
    await this.limits.countService(call, caller.id);
    const actor = await this.actFor(caller, { name, token }).catch(async (error: unknown) => {
      await this.limits.countPerson(call, caller.id);
      throw error;
    });
    call.actor = actor;
    await this.limits.countPerson(call, callerKey(actor));
  }

  private async authenticate(call: Call, authorization: string | undefined): Promise<Reader> {
    try {
      return (
        (await this.keys.authenticate(authorization, call)) ??
        (await this.tokens.authenticate(authorization, call)) ??
        (await this.identity.authenticate(authorization, call))
      );
    } catch (error) {
      // one without any token was counted when it came in
      const bad = error instanceof DomainError && error.kind !== 'unavailable' && authorization !== undefined;
      if (bad) await this.limits.countAddress(call, true);
      throw error;
    }
  }

  /** The key comes first: one that may act for nobody does not learn who there is. */
  private async actFor(service: ServiceActor, by: { name: string | undefined; token: string | undefined }) {
    refuseBeyondKey(service, 'actFor');
    const person = await this.identity.represented(service, by);
    this.policy.authorize(service, 'actFor', person);
    return person;
  }
}

const onlyServices = (): DomainError =>
  new DomainError(
    'forbidden',
    'acting_not_possible',
    'Only a service acts for somebody else, with an API key or a token of its own.',
    'Leave Usher-On-Behalf-Of and Usher-On-Behalf-Of-Token out: you call for yourself.',
  );
