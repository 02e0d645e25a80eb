// npm run check: everything that must hold before a change is merged. All steps run, also after one has failed.
//   npm run check -- --except tests     all but the steps named
//   npm run check -- --only lint,types  nothing but the steps named
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const tool = (...path) => ['node_modules', ...path].join('/');
const tsc = [tool('typescript', 'bin', 'tsc'), '--noEmit', '-p'];

const steps = {
  format: [[tool('prettier', 'bin', 'prettier.cjs'), '--check', '--log-level', 'warn', '.']],
  lint: [[tool('eslint', 'bin', 'eslint.js'), '--max-warnings', '0', '.']],
  types: [
    [...tsc, 'tsconfig.json'],
    [...tsc, 'tsconfig.local.json'],
  ],
  directions: [
    [
      tool('dependency-cruiser', 'bin', 'dependency-cruiser.mjs'),
      '--config',
      '.dependency-cruiser.cjs',
      'src',
      'local',
      'test',
      'bench',
    ],
  ],
  tests: [[tool('vitest', 'vitest.mjs'), 'run']],
  schema: [['dist/cli.js', 'schema', '--check']],
  migrations: [['scripts/check-migrations.mjs']],
};

const { values } = parseArgs({ options: { except: { type: 'string' }, only: { type: 'string' } } });
const named = (list) => (list === undefined ? [] : list.split(','));
const unknown = [...named(values.except), ...named(values.only)].filter((name) => !(name in steps));
if (unknown.length > 0) {
  console.error(`check: there is no step ${unknown.join(', ')}; there are ${Object.keys(steps).join(', ')}`);
  process.exit(2);
}
const wanted = Object.keys(steps).filter((name) =>
  values.only === undefined ? !named(values.except).includes(name) : named(values.only).includes(name),
);

// a signal for the group ends the step, and then us, between two steps
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

const results = [];
for (const name of wanted) {
  console.log(`\n=== ${name}`);
  const since = Date.now();
  const failed = steps[name].filter((args) => spawnSync(process.execPath, args, { stdio: 'inherit' }).status !== 0);
  results.push({ name, ok: failed.length === 0, seconds: Math.round((Date.now() - since) / 1000) });
}

console.log('\n=== result');
for (const { name, ok, seconds } of results) console.log(`${ok ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`);
const left = Object.keys(steps).length - wanted.length;
if (left > 0) console.log(`${left} of the steps were left out on request`);
process.exitCode = results.every(({ ok }) => ok) ? 0 : 1;
