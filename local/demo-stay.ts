/** While the demo stays up: the file for scripts, and what a person can do now. */
import { readFileSync, rmSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { decodeJwt } from 'jose';
import type { PersonName } from './demo-api.ts';
import { psqlVersion } from './demo-login.ts';
import { ask, open } from './demo-stage.ts';
import type { Registered, Stage } from './demo-stage.ts';

interface Content {
  stage: Stage;
  targets: readonly Registered[];
  tokens: Readonly<Record<PersonName, string>>;
}

/** The AWS keys in it are alice's own: with them a script does what she does in attached mode. */
function content({ stage, targets, tokens }: Content): Record<string, unknown> {
  const { api, standIn } = stage;
  const people: Record<string, unknown> = {};
  for (const [name, accessToken] of Object.entries(tokens))
    people[name] = { sub: decodeJwt(accessToken).sub, accessToken };
  return {
    api,
    graphql: `${api}/graphql`,
    docs: `${api}/docs`,
    oidc: { issuer: standIn.oidc.issuer },
    people,
    aws: { endpoint: standIn.aws.url, region: standIn.aws.region, ...standIn.people.alice.awsKeys },
    targets: targets.map(({ id, name, profiles, endpoints, databases }) => ({
      id,
      name,
      profiles: profiles.map((profile) => ({ id: profile.id, name: profile.name })),
      endpoints: endpoints.map(({ kind, connectHost, port }) => ({ kind, host: connectHost, port })),
      database: databases[0],
      caFile: standIn.caFile,
    })),
  };
}

/** Writes the file in one go, for us alone to read. @returns what removes it, unless another demo has replaced it */
export async function keepDemoFile(file: string, what: Content): Promise<() => void> {
  const text = `${JSON.stringify(content(what), null, 2)}\n`;
  const fresh = `${file}.${process.pid}`;
  rmSync(fresh, { force: true });
  await writeFile(fresh, text, { mode: 0o600, flag: 'wx' });
  await rename(fresh, file);
  const remove = (): void => {
    if (readOr(file, '') === text) rmSync(file, { force: true });
  };
  process.once('exit', remove);
  return remove;
}

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return otherwise;
  }
}

const HOURS = 8;

export async function tellHowToGoOn(stage: Stage, orders: Registered): Promise<void> {
  const { report, api, standIn } = stage;
  const { grant } = await open(stage, ask(orders, 'reporting-read', HOURS * 60, 'To look around in the demo'));
  const [writer] = orders.endpoints;
  const here = (path: string): string => relative(process.cwd(), path) || path;
  const conninfo = `host=localhost port=${writer?.port} user=${grant.login} dbname=orders sslmode=verify-full sslrootcert=${here(standIn.caFile)}`;
  report.line(`\nAll of it stays up until Ctrl-C.\n`);
  report.fact('REST docs', `${api}/docs`);
  report.fact('GraphiQL', `${api}/graphiql`);
  report.fact('for scripts', '.usher/demo.json: addresses, access tokens of the four people, alice’s own AWS keys');
  report.line(
    `\nalice can read orders until ${grant.endsAt}; each time this gets her a new token (15 minutes, never on the screen):\n`,
  );
  report.line(`PGPASSWORD="$('${here(process.execPath)}' local/demo-token.ts)" psql "${conninfo}"`);
  if (psqlVersion() === undefined)
    report.line('\n(There is no psql here; any PostgreSQL client takes the same settings.)');
  report.line();
}
