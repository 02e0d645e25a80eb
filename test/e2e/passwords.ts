import { asAdmin } from './holdings.ts';
import { addProfile } from './profiles.ts';
import type { Ask, Reached, Stage, TargetName } from './stage.ts';

/** May be used both ways, needs no approval, and reads what the target's first profile reads. */
export const readBothWays = (stage: Stage, target: TargetName): Promise<void> => {
  const [first] = stage.standIn.targets[target].registration.profiles;
  const groups = first?.groups ?? [];
  return addProfile(
    stage,
    target,
    `SELECT usher.allow('read-both-ways', '{${groups.join(',')}}', 240, 5, methods => '{iam,password}')`,
    {
      ...{ name: 'read-both-ways', groups, maxMinutes: 240, approvalsNeeded: 0, readOnly: true, connectionLimit: 5 },
      methods: ['iam', 'password'],
    },
  );
};

/** An ask for that profile. */
export const by = (method: 'iam' | 'password', target: TargetName = 'orders', more: Partial<Ask> = {}): Ask => ({
  ...{ target, profile: 'read-both-ways', method },
  ...more,
});

/** What PostgreSQL says to a password that is no longer good, or never was. */
export const refusedLogin = /password authentication failed|is not permitted to log in/;

/** What the target holds of a login's password, as its superuser sees it. */
export async function storedPassword(
  { standIn }: Pick<Reached, 'standIn'>,
  login: string,
  target: TargetName = 'orders',
): Promise<{ verifier: string | null; until: Date } | undefined> {
  const { rows } = await asAdmin(standIn, target, (admin) =>
    admin.query<{ verifier: string | null; until: Date }>(
      'SELECT rolpassword AS verifier, rolvaliduntil AS until FROM pg_authid WHERE rolname = $1',
      [login],
    ),
  );
  return rows[0];
}
