import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';

let base: string;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'embedded-postgres-'));
  await chmod(base, 0o755); // the server may run as another user
});

afterAll(() => rm(base, { recursive: true, force: true }));

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`never: ${what}`);
    await pause(20);
  }
}

const module = new URL('../../src/platform/embedded-postgres.ts', import.meta.url).href;
const script = (body: string): string => `
  const { binariesOf, startPostgres, spawnKept } = await import(${JSON.stringify(module)});
  const options = (dataDir) => ({ binaries: binariesOf(), dataDir, superuser: 'boss', superuserPassword: 'x', settings: { fsync: 'off' } });
  ${body}
  setInterval(() => undefined, 1000);`;
const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

interface Report {
  pid: number;
  other: number;
  dataDir: string;
  socketDir: string;
}
async function parent(body: string): Promise<{ child: ReturnType<typeof spawn>; report: Report }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script(body)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.stdout === null) throw new Error('no output');
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { child, report: JSON.parse(line) as Report };
}
const start = (dataDir: string, ephemeral: boolean): string => `
  const server = await startPostgres({ ...options(${JSON.stringify(dataDir)}), ephemeral: ${ephemeral} });
  const other = await spawnKept('sleep', ['3600']);
  console.log(JSON.stringify({ pid: server.pid, other: other.pid, dataDir: server.dataDir, socketDir: server.socketDir }));`;

test('does not outlive a parent that is killed', async () => {
  const { child, report } = await parent(start(join(base, 'orphan'), true));
  expect([alive(report.pid), alive(report.other)]).toEqual([true, true]);
  child.kill('SIGKILL');
  await until(() => !alive(report.pid) && !alive(report.other), 'both ended');
  await until(() => !existsSync(report.socketDir) && !existsSync(report.dataDir), 'its ephemeral files are removed');
});

test('a data directory in use is refused by name of its holder, and free again after', async () => {
  const dataDir = join(base, 'shared');
  const { child, report } = await parent(start(dataDir, false));
  const second = await parent(`
    const why = await startPostgres(options(${JSON.stringify(dataDir)})).catch((error) => error.message);
    console.log(JSON.stringify({ why }));`);
  expect(second.report).toEqual({
    why: `${report.dataDir} is in use by the PostgreSQL with process id ${report.pid}: stop it, or use another directory`,
  });
  second.child.kill();
  child.kill('SIGKILL');
  const third = await parent(start(dataDir, false)); // waits for the one that is being ended
  expect(third.report.dataDir).toBe(report.dataDir);
  third.child.kill('SIGKILL');
  await until(() => !alive(third.report.pid), 'ended');
});

test('an initialisation that fails leaves nothing, and is run again', async () => {
  const dataDir = join(base, 'failing');
  const { child, report } = await parent(`
    const { existsSync } = await import('node:fs');
    const fail = async () => { throw new Error('seed'); };
    const first = await startPostgres({ ...options(${JSON.stringify(dataDir)}), initialise: fail }).catch((error) => error.message);
    const left = existsSync(${JSON.stringify(dataDir)});
    let runs = 0;
    const server = await startPostgres({ ...options(${JSON.stringify(dataDir)}), initialise: async () => void (runs += 1) });
    await server.stop();
    console.log(JSON.stringify({ first, left, runs }));`);
  child.kill();
  expect(report).toEqual({ first: 'seed', left: false, runs: 1 });
});

test('never touches a directory that holds other things', async () => {
  const { child, report } = await parent(`
    const { mkdirSync, writeFileSync, readdirSync } = await import('node:fs');
    const dir = ${JSON.stringify(join(base, 'mine'))};
    mkdirSync(dir); writeFileSync(dir + '/letter', 'x');
    const why = await startPostgres({ ...options(dir), ephemeral: true }).catch((error) => error.message);
    console.log(JSON.stringify({ why, left: readdirSync(dir) }));`);
  child.kill();
  expect(report).toEqual({
    why: `${join(base, 'mine')} is not empty and holds no PostgreSQL data`,
    left: ['letter'],
  });
});
