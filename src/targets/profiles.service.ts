import { Injectable } from '@nestjs/common';
import { v7 } from 'uuid';
import { AuditService } from '../audit/audit.service.js';
import type { Actor } from '../platform/actor.js';
import { Clock } from '../platform/clock.js';
import { DomainError } from '../platform/errors.js';
import { asId } from '../platform/page.js';
import { brokenUnique, Database, type Tx } from '../platform/state/database.js';
import { PolicyService } from '../policy/policy.service.js';
import { allowStatement, differences, presentProfile, profileProblems, type ProfileRow } from './profile.js';
import { keptStage, stageProblems, stagesIn, type Stage } from './stages.js';
import { TargetAccess } from './target-access.service.js';
import { changesOf, type TargetRow } from './target.js';
import { Sensitivity, type CreateProfile, type Profile, type UpdateProfile } from './targets.contract.js';
import { refuseInUse, TargetsService } from './targets.service.js';

/** Levels of access on a target. The owner of the database has the last word: the guard there keeps its own allow-list. */
@Injectable()
export class ProfilesService {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly policy: PolicyService,
    private readonly audit: AuditService,
    private readonly targets: TargetsService,
    private readonly access: TargetAccess,
  ) {}

  /** @throws DomainError `policy_denied`, `target_not_found`, `invalid_input`, `profile_not_allowed`, `name_taken`, `target_unreachable` */
  async create(actor: Actor, targetId: string, input: CreateProfile): Promise<Profile> {
    this.policy.authorize(actor, 'administerTargets');
    const target = await this.targets.row(this.db.client, targetId);
    const { managesPasswords = false, createsRoles = false, sensitivity = Sensitivity.confidential } = input;
    const approvalStages = (input.approvalStages ?? []).map(keptStage);
    refuseUnfit({ ...input, managesPasswords, createsRoles, approvalStages });
    await refuseUnknown(this.db.client, approvalStages);
    const allowed = await this.allowList(target);
    const methods = input.methods ?? ['iam' as const];
    const connectionLimit = input.connectionLimit ?? allowed.get(input.name)?.connectionLimit ?? 5;
    const more = { managesPasswords, createsRoles, sensitivity, approvalStages };
    const wanted = { ...input, methods, connectionLimit, ...more };
    refuseDifferent(wanted, differences(wanted, allowed.get(input.name)));
    return this.db.tx(async (tx) => {
      await this.targets.lock(tx, target.id);
      const now = this.clock.now();
      const data = { id: v7(), targetId: target.id, ...wanted, createdAt: now, updatedAt: now };
      const row = await tx.profile.create({ data }).catch((error: unknown) => {
        if (brokenUnique(error) === undefined) throw error;
        throw new DomainError(
          'conflict',
          'name_taken',
          `The target has a profile ${input.name} already.`,
          'Change that one with PATCH.',
        );
      });
      await this.audit.append(tx, actor, {
        action: 'profile.create',
        targetId: target.id,
        details: { profileId: row.id, ...wanted },
      });
      return presentProfile(row);
    });
  }

  async list(actor: Actor, targetId: string): Promise<Profile[]> {
    this.policy.authorize(actor, 'viewTargets');
    const target = await this.targets.row(this.db.client, targetId);
    return (await this.of([target.id])).map(presentProfile);
  }

  /** Profiles of many targets at once, for nested reads. */
  of(targetIds: readonly string[]): Promise<ProfileRow[]> {
    const where = { targetId: { in: [...targetIds] }, deletedAt: null };
    return this.db.client.profile.findMany({ where, orderBy: { name: 'asc' } });
  }

  /**
   * What is changed here must agree with the target's own list. What lives keeps what was agreed for it: the grant has it, and
   * so has its lease on the target. A request that waits is shown anew before it can be approved.
   * @throws DomainError `profile_not_allowed`, `target_unreachable`
   */
  async update(actor: Actor, targetId: string, profileId: string, input: UpdateProfile): Promise<Profile> {
    this.policy.authorize(actor, 'administerTargets');
    const target = await this.targets.row(this.db.client, targetId);
    const allowed = await this.allowList(target);
    const { approvalStages: stages, ...rest } = input;
    const change = { ...rest, ...(stages && { approvalStages: stages.map(keptStage) }) };
    return this.db.tx(async (tx) => {
      await this.targets.lock(tx, target.id);
      const before = await this.row(tx, target.id, profileId);
      const wanted = { ...before, ...given(rest) };
      refuseUnfit({ ...wanted, approvalStages: change.approvalStages ?? [] });
      await refuseUnknown(tx, change.approvalStages ?? []);
      refuseDifferent(wanted, differences(wanted, allowed.get(before.name)));
      const row = await tx.profile.update({
        where: { id: before.id },
        data: { ...change, updatedAt: this.clock.now() },
      });
      const details = {
        profileId: row.id,
        name: row.name,
        changed: changesOf({ ...before, approvalStages: stagesIn(before.approvalStages) }, change),
      };
      await this.audit.append(tx, actor, { action: 'profile.update', targetId: target.id, details });
      return presentProfile(row);
    });
  }

  /** @throws DomainError `profile_in_use` */
  async delete(actor: Actor, targetId: string, profileId: string): Promise<Profile> {
    this.policy.authorize(actor, 'administerTargets');
    return this.db.tx(async (tx) => {
      const target = await this.targets.lock(tx, targetId);
      const before = await this.row(tx, target.id, profileId);
      await refuseInUse(tx, { profileId: before.id }, 'profile_in_use', 'profile');
      const row = await tx.profile.update({ where: { id: before.id }, data: { deletedAt: this.clock.now() } });
      await this.audit.append(tx, actor, {
        action: 'profile.delete',
        targetId: target.id,
        details: { profileId: row.id, name: row.name },
      });
      return presentProfile(row);
    });
  }

  /** @throws DomainError `invalid_id`, `profile_not_found` */
  async row(db: Tx, targetId: string, profileId: string): Promise<ProfileRow> {
    const row = await db.profile.findFirst({ where: { id: asId(profileId, 'profile id'), targetId, deletedAt: null } });
    if (!row)
      throw new DomainError(
        'not_found',
        'profile_not_found',
        'The target has no such profile.',
        'GET /v1/targets/{id}/profiles lists them.',
      );
    return row;
  }

  /**
   * Looks on the target whether the profile may be used as it stands here.
   * @throws DomainError `profile_not_allowed`, and what {@link TargetAccess.writer} throws
   */
  async verify(target: TargetRow, profile: ProfileRow): Promise<{ serverVersion: number }> {
    const session = await this.access.writer(target);
    const [hello, list] = [await session.hello(), await session.profiles()];
    if (hello.paused)
      throw new DomainError(
        'unavailable',
        'target_not_ready',
        `The owner of ${target.name} has paused access.`,
        'Ask the owner of the database.',
      );
    refuseDifferent(
      profile,
      differences(
        profile,
        list.find(({ name }) => name === profile.name),
      ),
    );
    return { serverVersion: hello.serverVersion };
  }

  private async allowList(target: TargetRow) {
    const session = await this.access.writer(target);
    return new Map((await session.profiles()).map((profile) => [profile.name, profile]));
  }
}

/** The fields that were sent: a class has all of its fields, and one that was left out must not count as a change. */
const given = <T extends object>(input: T): Partial<T> =>
  Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined)) as Partial<T>;

/** @throws DomainError `person_not_found` for a stage of somebody whom the provider never named */
async function refuseUnknown(db: Tx, stages: readonly Stage[]): Promise<void> {
  const named = [...new Set(stages.flatMap(({ people }) => people))];
  if (named.length === 0 || (await db.person.count({ where: { id: { in: named } } })) === named.length) return;
  throw new DomainError(
    'invalid',
    'person_not_found',
    'A stage names somebody whom Usher does not know.',
    'GET /v1/people lists who there is: everybody who ever called.',
  );
}

function refuseUnfit(profile: Parameters<typeof profileProblems>[0] & { approvalStages: readonly Stage[] }): void {
  const fields = [...profileProblems(profile), ...stageProblems(profile.approvalStages)];
  if (fields.length === 0) return;
  throw new DomainError(
    'invalid',
    'invalid_input',
    'The profile does not fit together.',
    fields.map(({ message }) => message).join(' '),
    { fields },
  );
}

function refuseDifferent(profile: Parameters<typeof allowStatement>[0], found: readonly string[]): void {
  if (found.length === 0) return;
  throw new DomainError(
    'invalid',
    'profile_not_allowed',
    `The target does not allow profile ${profile.name} like this: ${found.join('; ')}.`,
    `The owner of the database runs there: ${allowStatement(profile)}`,
  );
}
