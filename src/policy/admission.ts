import type { IncomingHttpHeaders } from 'node:http';
import { Injectable } from '@nestjs/common';
import { IdentityService } from '../identity/identity.service.js';
import { ServiceKeysService } from '../identity/service-keys.service.js';
import type { Reader, ServiceActor } from '../platform/actor.js';
import type { Call } from '../platform/call.js';
import { DomainError } from '../platform/errors.js';
import { refuseBeyondKey } from './key-scope.js';
import { PolicyService } from './policy.service.js';

/** Establishes who calls, and for whom. */
@Injectable()
export class Admission {
  constructor(
    private readonly identity: IdentityService,
    private readonly keys: ServiceKeysService,
    private readonly policy: PolicyService,
  ) {}

  /**
   * Once a call. Each step is known to the call before the next: a refusal names who was there by then.
   * @throws DomainError `token_missing`, `token_invalid`, `key_invalid`, `service_locked`, `unknown_person`, `policy_denied`, …
   */
  async admit(call: Call, headers: IncomingHttpHeaders): Promise<void> {
    if (call.actor) return;
    const caller: Reader =
      (await this.keys.authenticate(headers.authorization, call)) ??
      (await this.identity.authenticate(headers.authorization, call));
    call.actor = caller;
    const [name, token] = [headers['usher-on-behalf-of'], headers['usher-on-behalf-of-token']].map((value) =>
      value === undefined ? undefined : String(value),
    );
    // present and empty is a fault of the caller's, and never a call for itself
    if (name === undefined && token === undefined) return;
    if (caller.kind === 'person') throw onlyServices();
    call.actor = await this.actFor(caller, { name, token });
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
    'Only a service with an API key acts for somebody else.',
    'Leave Usher-On-Behalf-Of and Usher-On-Behalf-Of-Token out: you call for yourself.',
  );
