// node scripts/run.mjs <command> [arguments]: the one way in. Prepares the folder (prepare.mjs), then runs the command with
// the project's own Node. Plain JavaScript without dependencies: on a fresh clone it is run by the machine's Node, 18 or newer.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { prepare, Refused, root, say, typeStripping } from './prepare.mjs';

const tool = (...path) => ['node_modules', ...path].join('/');
const prettier = tool('prettier', 'bin', 'prettier.cjs');

/** What must be ready, and what is run: `node <these arguments> <the caller's>`. */
const commands = {
  demo: { needs: 'build', run: ['local/demo.ts'] },
  start: { needs: 'build', run: ['dist/main.js'] },
  usher: { needs: 'build', run: ['dist/cli.js'] },
  bench: { needs: 'build', run: benchmark },
  test: { needs: 'build', run: [tool('vitest', 'vitest.mjs'), 'run'] },
  matrix: { needs: 'build', run: ['scripts/matrix.mjs'] },
  chaos: { needs: 'build', run: chaos },
  check: { needs: 'build', run: ['scripts/check.mjs'] },
  build: { needs: 'build' },
  generate: { needs: 'metadata' },
  install: { needs: 'install' },
  format: { needs: 'install', run: [prettier, '--write', '--log-level', 'warn', '.'] },
  lint: { needs: 'metadata', run: [tool('eslint', 'bin', 'eslint.js'), '.'] },
  'migration-sql': { needs: 'install', run: ['scripts/check-migrations.mjs', '--script'] },
  prisma: {
    needs: 'install',
    run: [tool('prisma', 'build', 'index.js')],
    env: { PRISMA_SCHEMA_ENGINE_BINARY: join(root, 'prisma/offline-engine.mjs') },
  },
};

function benchmark(given) {
  const known = existsSync(join(root, 'bench'))
    ? readdirSync(join(root, 'bench')).filter((name) => name.endsWith('.bench.ts'))
    : [];
  const names = known.map((name) => name.replace('.bench.ts', ''));
  if (!names.includes(given[0]))
    throw new Refused(`npm run bench -- <name>, where the name is one of: ${names.join(', ')}`);
  return { run: [`bench/${given[0]}.bench.ts`], rest: given.slice(1) };
}

/** npm run test:chaos -- --runs 50 --seed 7: the service killed and targets stopped, so many times; 50 when nothing is said. */
function chaos(given) {
  const { values } = parseArgs({ args: given, options: { runs: { type: 'string' }, seed: { type: 'string' } } });
  for (const [name, value] of Object.entries(values))
    if (!/^\d{1,9}$/.test(value)) throw new Refused(`npm run test:chaos -- --${name} <number>, not ${value}`);
  const env = {
    USHER_CHAOS_RUNS: values.runs ?? '50',
    ...(values.seed !== undefined && { USHER_TEST_SEED: values.seed }),
    // the service is started thousands of times: its modules are compiled once
    NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'chaos'),
  };
  return { run: [...commands.test.run, 'test/chaos/storm.spec.ts', '--disable-console-intercept'], rest: [], env };
}

async function main() {
  const [name, ...given] = process.argv.slice(2);
  const command = Object.hasOwn(commands, name ?? '') ? commands[name] : undefined;
  if (!command)
    throw new Refused(
      `node scripts/run.mjs <command>, where the command is one of: ${Object.keys(commands).join(', ')}`,
    );
  const chosen = typeof command.run === 'function' ? command.run(given) : { run: command.run, rest: given };
  const node = await prepare(command.needs);
  if (chosen.run) hand(node, [...chosen.run, ...chosen.rest], { ...command.env, ...chosen.env });
}

/** Becomes the command, as far as a parent can: same terminal, same signals, same end. */
function hand(node, args, env) {
  const child = spawn(node.path, [...typeStripping(node.version), '--import', './scripts/leash.mjs', ...args], {
    cwd: root,
    env: { ...process.env, PATH: `${join(root, 'node_modules', '.bin')}:${process.env.PATH ?? ''}`, ...env },
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  child.on('error', (error) => fail(error));
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']) process.on(signal, () => child.kill(signal));
  process.on('SIGINT', () => {
    // Ctrl-C reaches every process of the terminal by itself, and a second one means "at once" to some programs
    if (process.stdin.isTTY) setTimeout(() => child.kill('SIGTERM'), 5_000).unref();
    else child.kill('SIGINT');
  });
  const watch = setInterval(() => parentIsGone() && child.kill('SIGTERM'), 500);
  child.on('exit', (code, signal) => {
    clearInterval(watch);
    process.exitCode = signal ? 128 + constants.signals[signal] : code;
    if (child.connected) child.disconnect();
    process.exit();
  });
}

// Under npm, the parent is npm, or a shell below it. When npm is killed, what it started must end too. Without npm nobody is
// watched: `nohup node scripts/run.mjs start &` outlives its shell on purpose.
const parents = process.env.npm_lifecycle_event ? ancestors() : [];

function ancestors() {
  const direct = process.ppid;
  const [name, grandparent] = describe(direct);
  return ['sh', 'dash', 'bash'].includes(name) && grandparent > 1 ? [direct, grandparent] : [direct];
}

function describe(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const end = stat.lastIndexOf(')');
    return [stat.slice(stat.indexOf('(') + 1, end), Number(stat.slice(end + 2).split(' ')[1])];
  } catch {
    return ['', 0];
  }
}

function parentIsGone() {
  const [direct, above] = parents;
  if (direct === undefined) return false;
  return process.ppid !== direct || (above !== undefined && describe(direct)[1] !== above);
}

function fail(error) {
  say(error instanceof Refused || process.env.DEBUG === undefined ? error.message : error.stack);
  process.exit(1);
}

main().catch(fail);
