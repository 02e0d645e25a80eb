import { isOver } from '../grants/lifecycle.js';
import type { GrantRow } from '../grants/grant.js';
import type { GuardHello, InspectedLogin, ServerFacts } from '../postgres/postgres.contract.js';
import { fault, ok, unknown, type Hop } from './diagnosis-hop.js';

type GrantPart = Pick<
  GrantRow,
  'id' | 'state' | 'startsAt' | 'endsAt' | 'login' | 'database' | 'method' | 'attempts' | 'lastError' | 'closeReason'
>;

const ANEW = 'Ask for access anew: POST /v1/requests.';
const MEND = 'An administrator calls POST /v1/targets/{id}/drift: it finds this and mends it.';

/** What Usher's own record says; an opening that drags on has its cause at a later hop, which is looked at. */
export function grantHop(grant: GrantPart, now: Date): Hop {
  const { state, startsAt, endsAt, attempts, lastError } = grant;
  if (isOver(state) || state === 'closing')
    return fault('grant', `The grant is ${state}${grant.closeReason === null ? '' : ` (${grant.closeReason})`}.`, ANEW);
  if (now >= endsAt) return fault('grant', `The grant ended at ${endsAt.toISOString()}.`, ANEW);
  if (state === 'scheduled')
    return fault('grant', `The grant begins at ${startsAt.toISOString()}.`, 'Come back then; nothing is open before.');
  if (state === 'active') return ok('grant', `The grant is active until ${endsAt.toISOString()}.`);
  return unknown(
    'grant',
    lastError === null
      ? 'The grant is being opened.'
      : `The grant is being opened; try ${attempts} failed: ${lastError}`,
    'GET /v1/grants/{id}?wait=active answers when it is open; it is tried again by itself.',
  );
}

/** Opens and closes; a pause keeps nobody out whose access is open. */
export function guardHop(hello: GuardHello, state: GrantRow['state']): Hop {
  if (hello.inRecovery)
    return fault(
      'guard',
      'Usher reached a reader: nothing can be opened there.',
      'An administrator registers the writer endpoint.',
    );
  if (!hello.paused) return ok('guard', `The guard ${hello.guardVersion} answers.`);
  const finding = 'The DBA has paused the guard of this target: nothing opens there, what is open stays open.';
  return state === 'opening'
    ? fault('guard', finding, "The DBA resumes it: UPDATE usher.setting SET value = 'off' WHERE name = 'paused'.")
    : ok('guard', finding);
}

/** The login role and what the target's own guard knows of the grant. */
export function roleHop(grant: GrantPart, groups: readonly string[], role: InspectedLogin | undefined): Hop {
  const { login } = grant;
  if (!role?.exists)
    return grant.state === 'opening'
      ? unknown('role', `The login role ${login} is not there yet.`)
      : fault('role', `The login role ${login} does not exist on the target: somebody dropped it.`, MEND);
  const lease = role.leases.find(({ grantId }) => grantId === grant.id);
  if (!lease)
    return fault('role', `The target holds no open lease of this grant for ${login}: it was closed there.`, MEND);
  if (!role.canLogin) return fault('role', `The login role ${login} is NOLOGIN: somebody shut it by hand.`, MEND);
  const held = new Set(role.memberships.map((membership) => membership.role));
  const missing = groups.filter((group) => !held.has(group));
  if (missing.length > 0)
    return fault('role', `${login} is no member of ${missing.join(', ')}: somebody took it away.`, MEND);
  return ok('role', `${login} may log in, has its lease, and its groups.`);
}

/** Token logins need rds_iam by some way, password logins must not have it by any. */
export function methodHop({ login, method }: GrantPart, facts: ServerFacts): Hop {
  const reach = facts.roles.find(({ role }) => role === login);
  if (!reach?.exists) return unknown('method', 'There is no login role to look at.');
  if (method === 'iam') {
    if (!facts.iamRoleExists)
      return fault(
        'method',
        'The server has no role rds_iam: it is not RDS, or not ready for IAM.',
        'Check that this is the registered server.',
      );
    return reach.iamPath === null
      ? fault('method', `${login} is no member of rds_iam: the server asks it for a password and takes no token.`, MEND)
      : ok('method', `${login} reaches rds_iam, so the server takes tokens.`);
  }
  return reach.iamPath === null
    ? ok('method', `${login} does not reach rds_iam, so the server takes its password.`)
    : fault(
        'method',
        `${login} reaches rds_iam by ${reach.iamPath.join(' > ')}: no password is taken from it.`,
        `The DBA takes it away: REVOKE "${reach.iamPath[1] ?? 'rds_iam'}" FROM "${login}".`,
      );
}

const number = (text: string | null): number => Number(text ?? '0');

/** Sessions of the login against its limit, and slots of the server that are not reserved. */
export function limitHop({ login }: GrantPart, role: InspectedLogin | undefined, facts: ServerFacts): Hop {
  const open = role?.backends.length ?? 0;
  const most = role?.connectionLimit ?? -1;
  if (most >= 0 && open >= most)
    return fault(
      'limit',
      `${login} has ${open} sessions open, and its profile allows ${most}.`,
      'Close some: SELECT pid, application_name, state FROM pg_stat_activity WHERE usename = current_user; or make the pool smaller.',
    );
  const { settings } = facts;
  const reserved = number(settings.superuser_reserved_connections) + number(settings.reserved_connections);
  const free = number(settings.max_connections) - reserved - facts.connections;
  if (settings.max_connections !== null && free <= 0)
    return fault(
      'limit',
      `All ${settings.max_connections} connection slots of the server are taken, or reserved (${reserved}).`,
      'Make pools smaller, put RDS Proxy before it, or raise max_connections in the parameter group.',
    );
  return ok(
    'limit',
    `${open} of ${most < 0 ? 'any number of' : most} sessions are open; the server has ${free} slots left.`,
  );
}

/** The database of the grant, and whether the login may connect to it. */
export function databaseHop({ login, database }: GrantPart, facts: ServerFacts): Hop {
  const found = facts.databases.find(({ name }) => name === database);
  if (!found?.exists)
    return fault(
      'database',
      `The server has no database ${database}.`,
      'An administrator corrects the databases of the target; then ask anew.',
    );
  const known = facts.roles.find(({ role }) => role === login)?.exists === true;
  if (known && !found.admits.includes(login))
    return fault(
      'database',
      `${login} may not connect to ${database}.`,
      `The DBA allows it: GRANT CONNECT ON DATABASE "${database}" TO the group of the profile.`,
    );
  return ok('database', `${database} is there and lets ${login} in.`);
}
