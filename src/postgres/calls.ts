import type { LeaseToClose, LeaseToOpen, PlanInput, PlannedCall } from './target-session.js';

/**
 * The statements the broker runs on a target, each once: what is executed is what an approver was shown.
 * Values travel as bind parameters, so none of them can change a statement.
 */
export const statements = {
  open: `SELECT usher.open(login => $1::text, profile => $2::text, grant_id => $3::text, ends_at => $4::timestamptz, method => $5::text, scram_verifier => $6::text) AS outcome`,
  close: `SELECT usher.close(login => $1::text, grant_id => $2::text, why => $3::text) AS outcome`,
  terminate: `SELECT usher.terminate(login => $1::text) AS outcome`,
  reach: `SELECT usher.reach(login => $1::text, on_ => $2::boolean) IS NULL AS outcome`,
  endHere: `SELECT usher.end_here(login => $1::text) AS outcome`,
  inspect: `SELECT to_jsonb(i) AS outcome FROM usher.inspect($1::text[]) AS i`,
  activity: `SELECT to_jsonb(a) AS outcome FROM usher.activity() AS a`,
  profiles: `SELECT to_jsonb(p) AS outcome FROM usher.profiles() AS p`,
  hello: `SELECT usher.hello() AS outcome`,
  sweep: `CALL usher.sweep()`,
} as const;

/** In the order of the placeholders of `statements.open`. */
export const openParameters = (lease: LeaseToOpen): (string | null)[] => [
  lease.login,
  lease.profile,
  lease.grantId,
  lease.endsAt.toISOString(),
  lease.method,
  lease.verifier ?? null,
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
  const verifier = plan.method === 'password' ? '<verifier of a fresh random password>' : 'NULL';
  return [
    {
      call: 'open',
      sql: statements.open,
      parameters: [
        login,
        { name: 'profile', value: plan.profile.name },
        grant,
        { name: 'ends_at', value: endsAt },
        { name: 'method', value: plan.method },
        { name: 'scram_verifier', value: verifier },
      ],
      effects: openEffects(plan, endsAt),
    },
    {
      call: 'close',
      sql: statements.close,
      parameters: [login, grant, { name: 'why', value: '<why it ended>' }],
      effects: closeEffects(plan),
    },
    {
      call: 'terminate',
      sql: statements.terminate,
      parameters: [login],
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
  const password = plan.method === 'iam' ? 'NULL' : `'<verifier of a fresh random password>'`;
  return [
    `CREATE ROLE ${login} NOLOGIN; -- when the role is new`,
    `GRANT usher_managed TO ${login}; -- when the role is new`,
    ...rolesOf(plan).map((role) => `GRANT ${identifier(role)} TO ${login}${options};`),
    `ALTER ROLE ${login} LOGIN CONNECTION LIMIT ${plan.profile.connectionLimit} VALID UNTIL '${endsAt}' PASSWORD ${password};`,
  ];
}

function closeEffects(plan: PlanInput): string[] {
  const login = identifier(plan.login);
  return [
    `ALTER ROLE ${login} NOLOGIN PASSWORD NULL; -- when no live grant is left: the door first`,
    ...rolesOf(plan).map((role) => `REVOKE ${identifier(role)} FROM ${login}; -- unless another live grant gives it`),
  ];
}
