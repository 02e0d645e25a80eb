/** What the server itself says: its settings, who reaches rds_iam, and how many connections are free. Pure. */
import type { RoleReach, ServerFacts, ServerSetting } from '../postgres/postgres.contract.js';
import type { RdsFacts, Read, ReadinessFacts, ReadinessItem, ReadinessTarget } from './readiness-item.js';
import { bad, pass, unknown } from './readiness-item.js';

const ON = /^(on|1|true|yes)$/i;
/** Sessions that Usher itself may open to one target: three for each of its three purposes. */
const OWN_SESSIONS = 9;
/** Below this share of all connections little is left for people. */
const LOW_SHARE = 0.1;

/** A setting, what is right for it, and how grave it is when it is not. */
interface Rule {
  readonly name: ServerSetting;
  readonly right: (value: string) => boolean;
  readonly verdict: 'warn' | 'fail';
  readonly why: string;
  readonly set: string;
}

/** PostgreSQL 18 made log_connections a list of what to log; an empty one logs nothing. */
const logs = (value: string): boolean => value !== '' && !/^(off|0|false|no)$/i.test(value);

const rules: readonly Rule[] = [
  {
    name: 'rds.force_ssl',
    right: (value) => ON.test(value),
    verdict: 'fail',
    why: 'logins without TLS are let in: a password can travel in the clear',
    set: '1',
  },
  {
    name: 'rds.restrict_password_commands',
    right: (value) => ON.test(value),
    verdict: 'warn',
    why: 'people can change their own passwords, past the end of a grant',
    set: '1',
  },
  {
    name: 'log_connections',
    right: logs,
    verdict: 'warn',
    why: 'logins are not on record in the server log',
    set: '1',
  },
  {
    name: 'log_disconnections',
    right: logs,
    verdict: 'warn',
    why: 'the end of sessions is not on record in the server log',
    set: '1',
  },
  {
    name: 'password_encryption',
    right: (value) => value === 'scram-sha-256',
    verdict: 'warn',
    why: 'new passwords are kept as md5, which is as good as the password to whoever reads it',
    set: 'scram-sha-256',
  },
  {
    name: 'rds.accepted_password_auth_method',
    right: (value) => value === 'scram',
    verdict: 'warn',
    why: 'logins with md5 passwords are let in',
    set: 'scram',
  },
];

export function serverItems(facts: ReadinessFacts): ReadinessItem[] {
  const { server } = facts;
  const settings = rules.map((rule) => setting(rule, facts));
  if ('why' in server)
    return [
      ...settings,
      ...['pg_cron', 'rds_iam of the broker', 'rds_iam of the master', 'connections'].map((name) =>
        unknown(name, server.why),
      ),
    ];
  return [
    ...settings,
    cron(server.value, facts.rds),
    broker(server.value, facts.target),
    master(server.value, facts),
    connections(server.value, facts.rds, facts.target),
  ];
}

/** The server's own answer counts; a parameter group says what will be, and nothing of what it leaves at its default. */
function setting({ name, right, verdict, why, set }: Rule, facts: ReadinessFacts): ReadinessItem {
  const { server, parameters } = facts;
  const asked = 'value' in server ? server.value.settings[name] : null;
  const value = asked ?? ('value' in parameters ? (parameters.value.get(name) ?? null) : null);
  if (value === null) {
    if ('why' in server) return unknown(name, server.why);
    return unknown(name, 'This server has no such setting, and its parameter group does not set it.');
  }
  const found = `${name} = ${value === '' ? "''" : value}${asked === null ? ' in the parameter group' : ''}`;
  return right(value) ? pass(name, found) : bad(name, verdict, `${found}: ${why}`, parameterCommand(facts, name, set));
}

function parameterCommand({ rds, target }: Pick<ReadinessFacts, 'rds' | 'target'>, name: string, set: string): string {
  const { kind, group } = groupOf(rds);
  const word = kind === 'cluster' ? 'db-cluster-parameter-group' : 'db-parameter-group';
  const command = `aws rds modify-${word} --${word}-name ${group} --parameters "ParameterName=${name},ParameterValue=${set},ApplyMethod=${applied(name)}" --region ${target.region}`;
  return group.startsWith('default.')
    ? `${command} (a default group cannot be changed: make one of your own, and give it to the database)`
    : command;
}

/** AWS docs Appendix.PostgreSQL.CommonDBATasks.Parameters: these alone wait for a restart. */
const applied = (name: string): string =>
  ['rds.restrict_password_commands', 'shared_preload_libraries', 'max_connections'].includes(name)
    ? 'pending-reboot'
    : 'immediate';

function groupOf(rds: Read<RdsFacts>): { kind: 'cluster' | 'instance'; group: string } {
  if ('why' in rds) return { kind: 'instance', group: '<parameter group>' };
  const { database, parameterGroup } = rds.value;
  return { kind: database.kind, group: parameterGroup ?? '<parameter group>' };
}

function cron(server: ServerFacts, rds: Read<RdsFacts>): ReadinessItem {
  const item = 'pg_cron';
  if (server.cronHere) return pass(item, 'installed in the database of the guard');
  const libraries = server.settings.shared_preload_libraries;
  const finding = 'not installed: while no Usher runs, nothing but pg_cron ends access that is over';
  if (libraries?.includes('pg_cron') === true) return bad(item, 'warn', finding, 'CREATE EXTENSION pg_cron;');
  const { kind, group } = groupOf(rds);
  const preload = libraries ? `${libraries},pg_cron` : '<those of today>,pg_cron';
  return bad(
    item,
    'warn',
    finding,
    `Put ${preload} into shared_preload_libraries of the ${kind} parameter group ${group}, restart, then: CREATE EXTENSION pg_cron;`,
  );
}

const reachOf = (server: ServerFacts, role: string): RoleReach | undefined =>
  server.roles.find((one) => one.role === role);

function broker(server: ServerFacts, { brokerLogin, brokerByIam }: ReadinessTarget): ReadinessItem {
  const item = 'rds_iam of the broker';
  const reach = reachOf(server, brokerLogin);
  if (reach?.exists !== true) return unknown(item, `There is no role ${brokerLogin} on this server.`);
  const path = reach.iamPath;
  if (brokerByIam)
    return path === null
      ? bad(item, 'fail', `${brokerLogin} is not in rds_iam: its tokens are refused`, grant(brokerLogin))
      : pass(item, path.join(' → '));
  return path === null
    ? pass(item, `${brokerLogin} logs in by password and is not in rds_iam`)
    : bad(item, 'fail', `${path.join(' → ')}: its password is refused`, revoke(path));
}

/** Said by the proof that knows who granted a membership: those of RDS itself shut nobody out. */
const keepsPassword = ({ proofs }: ReadinessFacts, role: string): boolean =>
  'value' in proofs &&
  proofs.value.some(
    ({ right, verdict, finding }) =>
      right === 'installer keeps its password' && verdict === 'ok' && finding.startsWith(`${role} `),
  );

function master(server: ServerFacts, facts: ReadinessFacts): ReadinessItem {
  const { masterUser } = facts.target;
  const item = 'rds_iam of the master';
  if (masterUser === null) return unknown(item, 'The register does not say who the master is: PATCH masterUser.');
  const reach = reachOf(server, masterUser);
  if (reach?.exists !== true) return unknown(item, `There is no role ${masterUser} on this server.`);
  const path = reach.iamPath;
  if (path === null) return pass(item, `${masterUser} is not in rds_iam by any path`);
  if (keepsPassword(facts, masterUser)) return pass(item, `${path.join(' → ')}, by RDS's own membership alone`);
  const own = path.length === 2 || (path.length === 3 && path[1] === 'rds_superuser');
  return own
    ? bad(item, 'warn', `${path.join(' → ')}: may be RDS's own; else the master's password is refused`, revoke(path))
    : bad(item, 'fail', `${path.join(' → ')}: the password of the master is refused`, revoke(path));
}

/** Always quoted: a name from a server is never read as anything else. */
const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const grant = (role: string): string => `GRANT rds_iam TO ${quoted(role)};`;
const revoke = ([member = '', role = '']: readonly string[]): string =>
  `REVOKE ${quoted(role)} FROM ${quoted(member)};`;

function connections(server: ServerFacts, rds: Read<RdsFacts>, target: ReadinessTarget): ReadinessItem {
  const item = 'connections';
  const number = (name: ServerSetting): number => Number(server.settings[name] ?? 0);
  const most = number('max_connections');
  if (!(most > 0)) return unknown(item, 'The server does not say how many connections it takes.');
  const reserved = number('superuser_reserved_connections') + number('reserved_connections');
  const free = most - reserved - server.connections;
  const finding = `${server.connections} of ${most} in use, ${reserved} reserved, ${free} free`;
  const remedy = `SELECT usename, application_name, state, count(*) FROM pg_stat_activity GROUP BY 1, 2, 3 ORDER BY 4 DESC; then raise max_connections: ${parameterCommand({ rds, target }, 'max_connections', String(most * 2))}`;
  if (free < OWN_SESSIONS) return bad(item, 'fail', finding, remedy);
  return free < most * LOW_SHARE ? bad(item, 'warn', finding, remedy) : pass(item, finding);
}
