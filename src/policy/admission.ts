import type { IncomingHttpHeaders } from 'node:http';
import { Injectable } from '@nestjs/common';
import { IdentityService, type Looking } from '../identity/identity.service.js';
import { ServiceKeysService } from '../identity/service-keys.service.js';
import { ServiceTokensService } from '../identity/service-tokens.service.js';
import { callerKey, type PersonActor, type Reader, type ServiceActor } from '../platform/actor.js';
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
    const by = somebodyIn(headers);
    // a person has as many calls through each service as without any; a service that fails to name one spends its own
    if (!by || caller.kind === 'person') await this.limits.countPerson(call, callerKey(caller));
    if (!by) return;
    if (caller.kind === 'person') throw onlyServices();
    await this.limits.countService(call, caller.id);
    const actor = await this.actFor(caller, by).catch(async (error: unknown) => {
      await this.limits.countPerson(call, caller.id);
      throw error;
    });
    call.actor = actor;
    await this.limits.countPerson(call, callerKey(actor));
  }

  /**
   * Who calls, of a call that was let in before and goes on: by the same headers, and without being counted.
   * @throws DomainError as {@link admit}, without `too_many_requests`; `person_locked`
   */
  async again(call: Pick<Call, 'address' | 'correlationId'>, headers: IncomingHttpHeaders): Promise<Reader> {
    const caller = await this.identify(call, headers.authorization, 'again');
    const by = somebodyIn(headers);
    if (by && caller.kind === 'person') throw onlyServices();
    const actor = by && caller.kind === 'service' ? await this.actFor(caller, by, 'again') : caller;
    if (actor.locked) throw locked();
    return actor;
  }

  private async identify(
    call: Pick<Call, 'address' | 'correlationId'>,
    authorization: string | undefined,
    how: Looking = 'anew',
  ): Promise<Reader> {
    const by = { address: call.address, correlationId: call.correlationId };
    return (
      (await this.keys.authenticate(authorization, by)) ??
      (await this.tokens.authenticate(authorization, by)) ??
      (await this.identity.authenticate(authorization, by, how))
    );
  }

  private async authenticate(call: Call, authorization: string | undefined): Promise<Reader> {
    try {
      return await this.identify(call, authorization);
    } catch (error) {
      // one without any token was counted when it came in
      const bad = error instanceof DomainError && error.kind !== 'unavailable' && authorization !== undefined;
      if (bad) await this.limits.countAddress(call, true);
      throw error;
    }
  }

  /** The key comes first: one that may act for nobody does not learn who there is. */
  private async actFor(service: ServiceActor, by: Somebody, how: Looking = 'anew'): Promise<PersonActor> {
    refuseBeyondKey(service, 'actFor');
    const person = await this.identity.represented(service, by, how);
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

const locked = (): DomainError =>
  new DomainError(
    'forbidden',
    'person_locked',
    'You were locked, and may do nothing.',
    'An administrator can unlock you.',
  );

/** For whom a service calls: by name, by a token of theirs, or both. */
interface Somebody {
  name: string | undefined;
  token: string | undefined;
}

/** Present and empty is a fault of the caller's, and never a call for itself. */
function somebodyIn(headers: IncomingHttpHeaders): Somebody | undefined {
  const [name, token] = [headers['usher-on-behalf-of'], headers['usher-on-behalf-of-token']].map((value) =>
    value === undefined ? undefined : String(value),
  );
  return name === undefined && token === undefined ? undefined : { name, token };
}
