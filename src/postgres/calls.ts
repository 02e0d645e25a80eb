import { factsStatement } from './server-facts.js';
import type { LeaseToClose, LeaseToOpen, PlanInput, PlannedCall } from './target-session.js';

/**
 * The statements the broker runs on a target, each once: what is executed is what an approver was shown.
 * Values travel as bind parameters, so none of them can change a statement.
 */
export const statements = {
  open: `SELECT usher.open(login => $1::text, person => $2::text, profile => $3::text, groups => $4::text[], connection_limit => $5::int, grant_id => $6::text, ends_at => $7::timestamptz, method => $8::text, creates_roles => $9::boolean) AS outcome`,
  close: `SELECT usher.close(login => $1::text, grant_id => $2::text, why => $3::text) AS outcome`,
  setPassword: `SELECT usher.set_password(login => $1::text, grant_id => $2::text, scram_verifier => $3::text) IS NULL AS outcome`,
  terminate: `SELECT usher.terminate(logins => $1::text[]) AS outcome`,
  repair: `SELECT usher.repair(login => $1::text) AS outcome`,
  survey: `SELECT usher.survey() AS outcome`,
  reach: `SELECT usher.reach(login => $1::text, on_ => $2::boolean) IS NULL AS outcome`,
  endHere: `SELECT usher.end_here(login => $1::text) AS outcome`,
  inspect: `SELECT to_jsonb(i) AS outcome FROM usher.inspect($1::text[]) AS i`,
  activity: `SELECT to_jsonb(a) AS outcome FROM usher.activity() AS a`,
  sessions: `SELECT usher.sessions() AS outcome`,
  profiles: `SELECT to_jsonb(p) AS outcome FROM usher.profiles() AS p`,
  hello: `SELECT usher.hello() AS outcome`,
  sweep: `CALL usher.sweep()`,
  facts: factsStatement,
} as const;

/** In the order of the placeholders of `statements.open`. */
export const openParameters = (lease: LeaseToOpen): unknown[] => [
  lease.login,
  lease.person,
  lease.profile,
  [...lease.groups],
  lease.connectionLimit,
  lease.grantId,
  lease.endsAt.toISOString(),
  lease.method,
  lease.createsRoles ?? false,
];

/** In the order of the placeholders of `statements.close`. */
export const closeParameters = (lease: LeaseToClose): string[] => [lease.login, lease.grantId, lease.why];

/** Quoted always, so that a name like `order` stays a name. */
const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/**
 * What opening and closing a grant will run on the target, for approvers: the exact call with its parameters, and the
 * statements the guard makes of it there. Pure: nothing is asked of the target.
 */
export function planCalls(plan: PlanInput): PlannedCall[] {
  const grant = { name: 'grant_id', value: plan.grantId ?? '<grant id>' };
  const login = { name: 'login', value: plan.login };
  const endsAt = plan.endsAt?.toISOString() ?? '<end of the grant>';
  return [
    {
      call: 'open',
      sql: statements.open,
      parameters: [
        login,
        { name: 'person', value: plan.person },
        { name: 'profile', value: plan.profile.name },
        { name: 'groups', value: `{${[...plan.profile.groups].sort().join(',')}}` },
        { name: 'connection_limit', value: String(plan.profile.connectionLimit) },
        grant,
        { name: 'ends_at', value: endsAt },
        { name: 'method', value: plan.method },
        { name: 'creates_roles', value: String(plan.profile.createsRoles ?? false) },
      ],
      effects: openEffects(plan, endsAt),
    },
    ...(plan.method === 'password' ? [passwordCall(plan, [login, grant])] : []),
    {
      call: 'close',
      sql: statements.close,
      parameters: [login, grant, { name: 'why', value: '<why it ended>' }],
      effects: closeEffects(plan),
    },
    {
      call: 'terminate',
      sql: statements.terminate,
      parameters: [{ name: 'logins', value: `{${plan.login}}` }],
      effects: [
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${plan.login.replaceAll("'", "''")}'; -- when no live grant is left`,
      ],
    },
  ];
}

/** rds_iam too: on RDS it is what lets a token in, and it shuts the password out. */
const rolesOf = (plan: PlanInput): string[] =>
  [...new Set([...plan.profile.groups, ...(plan.method === 'iam' ? ['rds_iam'] : [])])].sort();

function openEffects(plan: PlanInput, endsAt: string): string[] {
  const login = identifier(plan.login);
  const options = plan.serverMajor >= 16 ? ' WITH INHERIT TRUE, SET FALSE' : '';
  const attributes = [
    'LOGIN',
    ...(plan.profile.createsRoles === true ? ['CREATEROLE'] : []),
    `CONNECTION LIMIT ${plan.profile.connectionLimit} VALID UNTIL '${endsAt}'`,
    ...(plan.method === 'iam' ? ['PASSWORD NULL'] : []),
  ];
  return [
    `CREATE ROLE ${login} NOLOGIN; -- when the role is new`,
    `GRANT usher_managed TO ${login}; -- when the role is new`,
    ...rolesOf(plan).map((role) => `GRANT ${identifier(role)} TO ${login}${options};`),
    `ALTER ROLE ${login} ${attributes.join(' ')};`,
  ];
}

const VERIFIER = '<verifier of a fresh random password>';

/** Each time the person asks for a password; opening gives none. */
const passwordCall = (plan: PlanInput, parameters: PlannedCall['parameters']): PlannedCall => ({
  call: 'set_password',
  sql: statements.setPassword,
  parameters: [...parameters, { name: 'scram_verifier', value: VERIFIER }],
  effects: [`ALTER ROLE ${identifier(plan.login)} PASSWORD '${VERIFIER}'; -- each time the person asks for one`],
});

function closeEffects(plan: PlanInput): string[] {
  const login = identifier(plan.login);
  return [
    `ALTER ROLE ${login} NOLOGIN${plan.profile.createsRoles === true ? ' NOCREATEROLE' : ''} PASSWORD NULL; -- when no live grant is left: the door first`,
    ...rolesOf(plan).map((role) => `REVOKE ${identifier(role)} FROM ${login}; -- unless another live grant gives it`),
  ];
}
