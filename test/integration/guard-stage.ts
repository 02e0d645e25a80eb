import { afterAll, beforeAll } from 'vitest';
import { createAuthority } from '../../local/rds/authority.ts';
import type { PostgresMajor } from '../../src/platform/embedded-postgres.ts';
import type { InspectedLogin, LeaseToOpen, TargetSession } from '../../src/postgres/postgres.contract.ts';
import { PostgresService } from '../../src/postgres/postgres.service.ts';
import { scramVerifier, startGuardTarget, type GuardTarget, type GuardTargetOptions } from './guard-target.ts';

export const inMinutes = (minutes: number): Date => new Date(Date.now() + minutes * 60_000);

/** A lease of profile `read` as the fixture allows it, for half an hour by token; one login, one person. */
export const lease = (login: string, grantId: string, more: Partial<LeaseToOpen> = {}): LeaseToOpen => ({
  login,
  person: `person-of-${login}`,
  profile: 'read',
  groups: ['app_read'],
  connectionLimit: 5,
  grantId,
  endsAt: inMinutes(30),
  method: 'iam',
  ...more,
});
/** What profile `write` of the fixture is. */
export const write = { profile: 'write', groups: ['app_write'], connectionLimit: 3 } as const;

/** Of a DomainError: the reason that the guard gave. */
export const refused = (reason: string): object => ({ cause: { reason } });

export const groupsOf = (login: InspectedLogin): string[] => login.memberships.map(({ role }) => role);

export interface GuardStage {
  readonly target: GuardTarget;
  readonly guard: TargetSession;
  readonly service: PostgresService;
  look(login: string): Promise<InspectedLogin>;
  /** Opens a lease by password, sets one and answers it. The login ends in `_pw`. */
  openWithPassword(login: string, grantId: string, more?: Partial<LeaseToOpen>): Promise<string>;
}

/** A cluster of its own for one `describe`, with the guard installed and reached over the typed client. */
export function guardStage(major: PostgresMajor, options: GuardTargetOptions = {}): GuardStage {
  const service = new PostgresService();
  let target: GuardTarget | undefined;
  let guard: TargetSession | undefined;
  const there = <T>(part: T | undefined): T => {
    if (part === undefined) throw new Error('the stage is set by beforeAll');
    return part;
  };
  beforeAll(async () => {
    target = await startGuardTarget(major, createAuthority(`authority ${major}`), options);
    guard = await service.connect('target', target.address, target.broker);
  });
  afterAll(async () => {
    await service.onApplicationShutdown();
    await target?.stop();
  });
  return {
    service,
    get target() {
      return there(target);
    },
    get guard() {
      return there(guard);
    },
    look: async (login) => {
      const [found] = await there(guard).inspect([login]);
      if (found === undefined) throw new Error(`${login} is not managed`);
      return found;
    },
    openWithPassword: async (login, grantId, more = {}) => {
      const password = `Correct-horse-${login}`;
      await there(guard).open(lease(login, grantId, { method: 'password', ...more }));
      await there(guard).setPassword({ login, grantId, verifier: scramVerifier(password) });
      return password;
    },
  };
}
