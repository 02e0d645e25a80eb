/** What the list of all that somebody may ask for costs, by the whole service in this process: its own work can be told apart here. */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startOidc } from '../local/oidc/server.ts';
import type { OidcStandIn } from '../local/oidc/server.ts';
import type * as queries from '../src/access/options.queries.ts';
import type * as application from '../src/app.ts';
import type * as config from '../src/platform/config.ts';
import { binariesOf, startPostgres } from '../src/platform/embedded-postgres.ts';
import type * as database from '../src/platform/state/database.ts';
import type * as states from '../src/platform/state/state.ts';
import { filledUp } from './policy-decisions.ts';
import { path } from './processes.ts';
import { costOf, longestTurn, told, verdict } from './work.ts';
import type { Cost } from './work.ts';

const load = async <T>(file: string): Promise<T> => (await import(path(`dist/${file}`))) as T;
type App = Awaited<ReturnType<typeof application.createApp>>;

const TARGETS = 500;
const PEOPLE = 8;
const REPEATS = 100;
const OPTIONS = '/v1/access-options?limit=200&allowed=true';
/** Some policies say one target: only that one is asked about by itself. */
const ONE = '00000000-0000-7000-8000-000000000001';
const naming = `@id("one") permit (principal, action == Usher::Action::"request", resource in Usher::Target::"${ONE}");`;

/** Rows alone, as different as they are in life: teams, owners, and a name of its own for each in its tags. */
const FILL = `
  WITH t AS (
    INSERT INTO target (id, name, kind, partition, region, account_id, resource_id, engine_version, environment, owner_group, databases, ca_identifier, guard_database, broker_login, tags, created_at, updated_at)
    SELECT CASE i WHEN 1 THEN '${ONE}' ELSE gen_random_uuid() END, 'many-' || i, 'rds-instance', 'aws', 'eu-west-1', '123456789012', 'db-MANY' || i, '17',
           (ARRAY['prod', 'staging', 'dev'])[1 + i % 3], 'owners-' || i, '{app}', 'rds-ca-rsa2048-g1', 'postgres', 'usher_broker',
           jsonb_build_object('Name', 'many-' || i, 'team', 'team-' || i % 50), now(), now()
      FROM generate_series(1, ${TARGETS}) AS i RETURNING id)
  INSERT INTO profile (id, target_id, name, groups, max_minutes, approvals_needed, read_only, connection_limit, methods, created_at, updated_at)
  SELECT gen_random_uuid(), t.id, 'p' || k, '{readers}', 480, k, k < 3, 5, '{iam}', now(), now() FROM t, generate_series(1, 3) AS k`;

async function onService(policies: number, use: (app: App, oidc: OidcStandIn) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'usher-bench-policy-'));
  const password = randomBytes(18).toString('base64url');
  const own = {
    binaries: binariesOf(),
    dataDir: join(folder, 'state'),
    superuser: 'usher',
    superuserPassword: password,
  };
  const postgres = await startPostgres({ ...own, settings: {}, ephemeral: true });
  const oidc = await startOidc();
  try {
    const policyFile = join(folder, 'company.cedar');
    await writeFile(policyFile, `${filledUp(policies - 1)}\n${naming}`);
    const { readSettings } = await load<typeof config>('platform/config.js');
    const settings = readSettings({
      ...{ OIDC_ISSUER: oidc.issuer, USHER_POLICY_FILE: policyFile, USHER_LOG_LEVEL: 'error' },
      ...{ USHER_CALLS_PER_MINUTE: '0', USHER_JOBS: 'false', USHER_SAMPLE_SECONDS: '0' },
      DATABASE_URL: `postgresql://usher:${password}@${postgres.host}:${postgres.port}/postgres`,
    });
    const state = await (await load<typeof states>('platform/state/state.js')).openState(settings);
    const app = await (await load<typeof application>('app.js')).createApp({ settings, databaseUrl: state.url });
    await use(app, oidc).finally(() => app.close());
  } finally {
    await oidc.close();
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Somebody with thirty groups of no meaning here, whom the service knows. */
async function newcomer(app: App, oidc: OidcStandIn): Promise<(url: string) => Promise<void>> {
  const groups = ['engineers', ...Array.from({ length: 30 }, () => `g-${randomUUID()}`)];
  const claims = { sub: randomUUID(), email: `${randomUUID()}@example.com`, groups };
  const token = oidc.signWith(oidc.claimsOf('alice', { expiresIn: 3_600, claims }));
  const get = async (url: string): Promise<void> => {
    const { statusCode, body } = await app.inject({
      method: 'GET',
      url,
      headers: { authorization: `Bearer ${token}` },
    });
    if (statusCode !== 200) throw new Error(`${url}: ${statusCode} ${body}`);
  };
  await get('/v1/requests?limit=1');
  return get;
}

export async function measureOptions(policies: number): Promise<void> {
  await onService(policies, async (app, oidc) => {
    const { offers } = await load<typeof queries>('access/options.queries.js');
    const { Database } = await load<typeof database>('platform/state/database.js');
    const { pool } = app.get(Database, { strict: false });
    await pool.query(`SET ROLE NONE; ${FILL}; ANALYZE target, profile; SET ROLE usher_app`);
    const found: Record<'rows' | 'cold' | 'turns' | 'call' | 'kept', Cost[]> = {
      rows: [],
      cold: [],
      turns: [],
      call: [],
      kept: [],
    };
    for (let person = 0; person < PEOPLE; person += 1) {
      const [one, other] = [await newcomer(app, oidc), await newcomer(app, oidc)];
      found.rows.push(await costOf(async () => JSON.stringify(await offers(pool))));
      found.cold.push(await costOf(() => one(OPTIONS)));
      found.turns.push(await longestTurn(() => other(OPTIONS)));
      for (let again = 0; again < REPEATS; again += 1) {
        found.call.push(await costOf(() => one('/v1/requests?limit=1')));
        found.kept.push(await costOf(() => one(OPTIONS)));
      }
    }
    console.log(`\noptions: ${TARGETS} targets × 3 profiles, ${policies} policies, one of which says a target; ms`);
    console.log(told('floor: the rows, and no question', found.rows, 1));
    console.log(told('asked for the first time', found.cold, 1));
    console.log(told('longest turn meanwhile', found.turns, 1));
    console.log(told('floor: a call for an empty list', found.call, 1));
    console.log(told('asked for again', found.kept, 1));
    console.log(verdict('asked for the first time', found.cold, 1_000));
    console.log(verdict('the longest turn', found.turns, 50));
    console.log(verdict('asked for again', found.kept, 20));
  });
}
