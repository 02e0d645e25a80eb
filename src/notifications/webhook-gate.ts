import { Injectable } from '@nestjs/common';
import type { PersonActor } from '../platform/actor.js';
import { DomainError } from '../platform/errors.js';
import { PolicyService } from '../policy/policy.service.js';
import { Postman } from './postman.js';

/** Who may do what with webhooks, and where they may lead. */
@Injectable()
export class WebhookGate {
  constructor(
    private readonly policy: PolicyService,
    private readonly postman: Postman,
  ) {}

  /** @throws DomainError `policy_denied` */
  admit(actor: PersonActor): void {
    this.policy.authorize(actor, 'administerWebhooks');
  }

  /**
   * For what makes the record flow somewhere. A floor below every policy: nobody has sent what they may not see themselves.
   * @throws DomainError `policy_denied`
   */
  admitToRecord(actor: PersonActor): void {
    this.admit(actor);
    if (this.policy.visible(actor, 'viewAudit').includes('all')) return;
    throw new DomainError(
      'forbidden',
      'policy_denied',
      'A webhook sends the record of everybody, and you may not see all of it.',
      'Somebody with the right to view the whole record must do this.',
    );
  }

  /** @throws DomainError `invalid_input` for an address that nothing is brought to */
  refuseAddress(url: string): void {
    const refusal = this.postman.refusalOf(url);
    if (refusal === undefined) return;
    const message = `The address ${refusal}.`;
    throw new DomainError(
      'invalid',
      'invalid_input',
      message,
      'Give an https address on the public internet, or have an operator allow its network (USHER_OUTBOUND_NETWORKS).',
      { fields: [{ field: 'url', message }] },
    );
  }
}
