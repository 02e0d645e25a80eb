import { Injectable } from '@nestjs/common';
import { connectPolicy, dbUserArn } from '../aws/connect-policy.js';
import { IamMode } from '../grants/grants.contract.js';
import { GrantPolicies } from '../grants/policies.service.js';
import { IdentityService } from '../identity/identity.service.js';
import type { Actor, PersonActor } from '../platform/actor.js';
import { concerning } from '../platform/call.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { Database } from '../platform/state/database.js';
import {
  approvalsNeeded,
  PolicyService,
  type AccessContext,
  type Decision,
  type ProfileFacts,
} from '../policy/policy.service.js';
import { planCalls } from '../postgres/postgres.contract.js';
import { profileFacts, type ProfileRow } from '../targets/profile.js';
import { ProfilesService } from '../targets/profiles.service.js';
import { stagesIn } from '../targets/stages.js';
import { refuseWithdrawn, targetFacts, type TargetRow } from '../targets/target.js';
import { LoginMethod, type Sensitivity } from '../targets/targets.contract.js';
import { TargetsService } from '../targets/targets.service.js';
import { contextOf, type Draft, type Planned } from './draft.js';
import { pinned } from './quorum.js';
import type { CreateRequest, Plan } from './requests.contract.js';
import { asEmergency, refuseLaterEmergency } from './emergency.js';

const LONGEST_LEAD_MS = 30 * 86_400_000;

/** From what a person asks for to what it would come to: the rules of form, policy's word, and the plan. */
@Injectable()
export class Drafts {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly targets: TargetsService,
    private readonly profiles: ProfilesService,
    private readonly identity: IdentityService,
    private readonly policies: GrantPolicies,
  ) {}

  /**
   * Reads and checks everything but policy's word, which it brings along.
   * @throws DomainError for what is not found or does not fit
   */
  async draft(actor: PersonActor, input: CreateRequest): Promise<Draft> {
    if (actor.locked) this.policy.authorize(actor, 'viewTargets'); // what does not fit would tell them of the target
    const target = await this.targets.row(this.db.client, input.targetId);
    const profile = await this.profiles.row(this.db.client, target.id, input.profileId);
    concerning({ subjectId: actor.id });
    refuseWithdrawn(target);
    const method = input.method ?? LoginMethod.iam;
    const mode = input.mode ?? IamMode.session;
    refuseLaterEmergency(input);
    this.refuse(input, target, profile);
    refuseMethod(profile, method, mode);
    const principalArn = mode === IamMode.attached ? await this.principal(actor) : null;
    const facts = profileFacts(profile, targetFacts(target));
    const context = contextOf(input, { method, mode });
    const [decision, skip] =
      input.breakGlass === true
        ? this.breakGlass(actor, facts, context, input.reason)
        : [
            this.policy.decide(actor, 'request', facts, context),
            this.policy.decide(actor, 'skipApproval', facts, context),
          ];
    const database = input.database ?? target.databases[0] ?? 'postgres';
    const needed = approvalsNeeded(facts, decision, skip);
    const stages = pinned(stagesIn(profile.approvalStages), needed, target.ownerGroup);
    return {
      ...{ target, profile, database, method, mode, principalArn },
      ...{ decision, skip, approvalsNeeded: needed, stages },
    };
  }

  /** The glass alone decides, on the access and on the approvals. What may be asked for otherwise is no part of it, nor of the record. */
  private breakGlass(
    actor: PersonActor,
    facts: ProfileFacts,
    context: AccessContext,
    reason: string,
  ): [decision: Decision, skip: Decision] {
    this.policy.foresee(actor, 'request', facts, context); // which the route declares
    const broken = this.policy.decide(actor, 'breakGlass', facts, asEmergency(context, reason));
    return [broken, broken];
  }

  /** @throws DomainError `policy_denied` with the policies' own advice */
  authorize(actor: Actor, draft: Draft, input: CreateRequest): void {
    const facts = profileFacts(draft.profile, targetFacts(draft.target));
    const context = contextOf(input, draft);
    if (input.breakGlass === true)
      this.policy.authorize(actor, 'breakGlass', facts, asEmergency(context, input.reason));
    else this.policy.authorize(actor, 'request', facts, context);
  }

  /**
   * What will be done, checked against the target and IAM as they are now.
   * @throws DomainError `profile_not_allowed`, `target_unreachable`, `quota`, `mode_not_supported`, …
   */
  async plan(
    { target, profile, method, mode, principalArn }: Planned,
    login: string,
    person: string,
    grantId: string,
    endsAt: Date | null,
  ): Promise<Plan> {
    const { serverVersion } = await this.profiles.verify(target, profile);
    const serverMajor = Math.floor(serverVersion / 10_000);
    return {
      login,
      groups: profile.groups,
      connectionLimit: profile.connectionLimit,
      sensitivity: profile.sensitivity as Sensitivity,
      createsRoles: profile.createsRoles,
      endsAt,
      serverMajor,
      statements: planCalls({ login, person, profile, method, grantId, endsAt, serverMajor }),
      ...(method === LoginMethod.iam
        ? await this.iamPart({ target, mode, principalArn }, login)
        : { policy: null, policyAppliesTo: null }),
    };
  }

  private async iamPart(
    { target, mode, principalArn }: Pick<Planned, 'target' | 'mode' | 'principalArn'>,
    login: string,
  ): Promise<Pick<Plan, 'policy' | 'policyAppliesTo'>> {
    const arn = dbUserArn({ ...target, user: login });
    const document = connectPolicy([arn]);
    if (principalArn !== null) await this.policies.fits(principalArn, arn);
    const role = target.connectRole ?? 'the configured connect role';
    return {
      policy: { ...document },
      policyAppliesTo:
        mode === IamMode.attached && principalArn !== null
          ? principalArn
          : `one session of ${role} in account ${target.accountId}`,
    };
  }

  private refuse(input: CreateRequest, target: TargetRow, profile: ProfileRow): void {
    if (input.durationMinutes > profile.maxMinutes)
      throw new DomainError(
        'invalid',
        'invalid_duration',
        `Profile ${profile.name} gives at most ${profile.maxMinutes} minutes.`,
        'Ask for less.',
      );
    if (input.database !== undefined && !target.databases.includes(input.database))
      throw new DomainError(
        'invalid',
        'invalid_input',
        'The target has no such database.',
        `It has ${target.databases.join(', ')}.`,
      );
    const lead = input.startsAt === undefined ? 0 : input.startsAt.getTime() - this.clock.now().getTime();
    if (lead < -60_000 || lead > LONGEST_LEAD_MS)
      throw new DomainError(
        'invalid',
        'invalid_start',
        'Access may start now or within 30 days.',
        'Leave startsAt out to start at once.',
      );
  }

  private async principal(actor: PersonActor): Promise<string> {
    const arn = await this.identity.principalOf(actor.id);
    if (arn !== undefined && (await this.identity.isOnlyHis(actor.id, arn))) return arn;
    if (arn !== undefined)
      throw new DomainError(
        'invalid',
        'mode_not_supported',
        "The IAM user or role that your access token names is somebody else's, too: what it does could not be told apart.",
        'Use mode session, or have an IAM identity of your own.',
      );
    throw new DomainError(
      'invalid',
      'mode_not_supported',
      'Attached mode needs an IAM user or role of your own, and your access token names none.',
      'Use mode session, or let the identity provider send the ARN in the claim that OIDC_AWS_PRINCIPAL_CLAIM names.',
    );
  }
}

/** Each way to log in that the profile has; a password is nothing that a person could sign for with keys of their own. */
function refuseMethod(profile: ProfileRow, method: LoginMethod, mode: IamMode): void {
  if (!profile.methods.includes(method))
    throw new DomainError(
      'invalid',
      'method_not_allowed',
      `Profile ${profile.name} cannot be had by method ${method}.`,
      `Use method ${profile.methods.join(' or ')}.`,
    );
  if (method === LoginMethod.password && mode === IamMode.attached)
    throw new DomainError(
      'invalid',
      'mode_not_supported',
      'Attached mode is for tokens: a password needs no IAM user or role of your own.',
      'Use mode session with method password, or method iam.',
    );
}
