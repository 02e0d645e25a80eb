import { Injectable } from '@nestjs/common';
import { connectPolicy, dbUserArn } from '../aws/connect-policy.js';
import { IamService } from '../aws/iam.service.js';
import { DomainError } from '../platform/errors.js';
import { faultBehind, type InspectedLogin, type TargetSession } from '../postgres/postgres.contract.js';
import { TargetAccess } from '../targets/target-access.service.js';
import type { GrantRow } from './grant.js';
import type { LoginOnTarget } from './grants.queries.js';
import { Readers } from './readers.js';
import { isOpen, plan, remains, type Change, type GrantToPlan } from './plan.js';
import { GrantLedger, type Settlement } from './ledger.js';

/** Refusals of the guard that no waiting will change: the grant cannot be opened. */
const HOPELESS = new Set([
  'login_name',
  'profile',
  'method',
  'ends_at',
  'group',
  'not_managed',
  'retired',
  'attributes',
  'member',
  'other_method',
  'grant_closed',
]);

/** What was done on the way, for the record. */
interface Done {
  fenced: Set<string>;
  detached: Set<string>;
  /** Grants whose IAM policy could not be taken off, and why. */
  attached: Map<string, DomainError>;
  sessionsEnded: number;
  refused: Map<string, DomainError>;
}

/**
 * The one path on which access is given and taken: start, expiry, revoke, crash recovery. Looks at what is, compares it
 * with what should be, applies the difference, looks again. May run any number of times, and stop at any line.
 */
@Injectable()
export class Reconciler {
  constructor(
    private readonly ledger: GrantLedger,
    private readonly access: TargetAccess,
    private readonly iam: IamService,
    private readonly readers: Readers,
  ) {}

  /** Never throws for a fault of the target or of AWS: that is on record with the grants, and tried again. */
  reconcile(login: LoginOnTarget): Promise<void> {
    return this.ledger.alone(login, async () => {
      const grants = await this.ledger.advance(login);
      const working = grants.filter(({ state }) => state !== 'scheduled');
      const [first] = working;
      if (!first) return;
      try {
        await this.ledger.settle(login, working, await this.converge(first, working));
      } catch (error) {
        if (!(error instanceof DomainError)) throw error;
        await this.ledger.fault(login, working, error);
      }
    });
  }

  private async converge(any: GrantRow, grants: readonly GrantRow[]): Promise<Settlement> {
    const session = await this.access.writer(any.target, 'reconcile');
    const [{ serverVersion }, before] = [await session.hello(), await look(session, any.login)];
    const desired = grants.filter(({ state }) => state !== 'closing').map(toPlan);
    const ending = grants.filter(({ state }) => state === 'closing').map(toPlan);
    const serverMajor = Math.floor(serverVersion / 10_000);
    const done: Done = {
      fenced: new Set(),
      detached: new Set(),
      attached: new Map(),
      sessionsEnded: 0,
      refused: new Map(),
    };
    const byId = new Map(grants.map((grant) => [grant.id, grant]));
    const changes = plan({ desired, ending, actual: before, serverMajor });
    for (const change of changes) await this.apply(session, change, any, byId, done);
    const elsewhere =
      changes.some(({ kind }) => kind === 'terminate' || kind === 'close') && (desired.length === 0 || serverMajor < 16)
        ? await this.readers.clear(any.target, session, any.login)
        : { ended: 0, left: [] };
    done.sessionsEnded += elsewhere.ended;
    return conclude(desired, ending, await look(session, any.login), desired.length === 0 ? elsewhere.left : [], done);
  }

  private async apply(
    session: TargetSession,
    change: Change,
    { login, target }: GrantRow,
    grants: ReadonlyMap<string, GrantRow>,
    done: Done,
  ): Promise<void> {
    const grant = 'grantId' in change ? grants.get(change.grantId) : undefined;
    switch (change.kind) {
      case 'close':
        await session.close({ login, grantId: change.grantId, why: grant?.closeReason ?? 'no grant asks for it' });
        done.fenced.add(change.grantId);
        return;
      case 'terminate':
        done.sessionsEnded += await session.terminate(login);
        return;
      case 'detach':
        if (grant?.principalArn) await this.detach(grant.id, grant.principalArn, done);
        return;
      case 'open':
        if (grant) await this.opening(grant, done, () => session.open(leaseOf(grant)));
        return;
      case 'attach':
        if (grant?.principalArn && !done.refused.has(grant.id)) {
          const { principalArn } = grant;
          const document = connectPolicy([dbUserArn({ ...target, user: login })]);
          await this.opening(grant, done, () =>
            this.iam.putScopedPolicy({ principalArn, policyName: policyName(grant.id), document }),
          );
        }
        return;
    }
  }

  /** IAM that fails must not keep the sessions alive: the login is fenced already, and detaching is tried again. */
  private async detach(grantId: string, principalArn: string, done: Done): Promise<void> {
    try {
      await this.iam.deleteScopedPolicy({ principalArn, policyName: policyName(grantId) });
      done.detached.add(grantId);
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      done.attached.set(grantId, error);
    }
  }

  /** A grant that is refused must not keep others from being opened, nor any from being closed. */
  private async opening(grant: GrantRow, done: Done, open: () => Promise<unknown>): Promise<void> {
    try {
      await open();
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      done.refused.set(grant.id, error);
    }
  }
}

const look = async (session: TargetSession, login: string): Promise<InspectedLogin | undefined> =>
  (await session.inspect([login])).find((found) => found.login === login);

/** One policy a grant: overlapping grants of one person are counted by there being several. */
export const policyName = (grantId: string): string => `usher-${grantId}`;

const toPlan = (grant: GrantRow): GrantToPlan => ({
  id: grant.id,
  state: grant.state,
  endsAt: grant.endsAt,
  guardProfile: grant.guardProfile,
  groups: grant.profile.groups,
  method: grant.method,
  mode: grant.mode,
});

const leaseOf = (grant: GrantRow) => ({
  login: grant.login,
  profile: grant.guardProfile,
  grantId: grant.id,
  endsAt: grant.endsAt,
  method: grant.method,
});

/** What may be said after the second look: who is open, who is over, and what stands in the way of the others. */
function conclude(
  desired: readonly GrantToPlan[],
  ending: readonly GrantToPlan[],
  after: InspectedLogin | undefined,
  elsewhere: readonly string[],
  done: Done,
): Settlement {
  const opened = desired.filter((grant) => isOpen(grant, after) && !done.refused.has(grant.id)).map(({ id }) => id);
  const onTarget = desired.length === 0 ? [...remains(after), ...elsewhere] : lost(desired, ending, after);
  const inIam = [...done.attached].map(
    ([id, { message }]) => `the IAM policy ${policyName(id)} is still attached: ${message}`,
  );
  const left = [...onTarget, ...inIam];
  const hopeless = [...done.refused].filter(([, error]) => isHopeless(error));
  return {
    opened,
    hopeless: new Map(hopeless),
    refused: done.refused,
    closed: onTarget.length === 0 ? ending.map(({ id }) => id).filter((id) => !done.attached.has(id)) : [],
    left,
    fenced: done.fenced,
    detached: done.detached,
    sessionsEnded: done.sessionsEnded,
  };
}

/** What the ended grants still give although those that live do not. */
function lost(
  desired: readonly GrantToPlan[],
  ending: readonly GrantToPlan[],
  after: InspectedLogin | undefined,
): string[] {
  const ended = new Set(ending.map(({ id }) => id));
  const kept = new Set(desired.flatMap(({ groups }) => groups));
  const gone = new Set(ending.flatMap(({ groups }) => groups).filter((role) => !kept.has(role)));
  return [
    ...(after?.leases ?? [])
      .filter(({ grantId }) => ended.has(grantId))
      .map(({ grantId }) => `the lease of ${grantId} is live`),
    ...(after?.memberships ?? [])
      .filter(({ role }) => gone.has(role))
      .map(({ role, grantor }) => `it is still a member of ${role} (granted by ${grantor})`),
  ];
}

const isHopeless = (error: DomainError): boolean =>
  error.kind !== 'unavailable' || error.code === 'aws_denied' || HOPELESS.has(faultBehind(error)?.reason ?? '');
