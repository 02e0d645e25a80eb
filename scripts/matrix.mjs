// npm run test:matrix: the life of grants on every major of PostgreSQL that a target may have, one after the other.
//   npm run test:matrix -- --only 16       on one of them; 14,16,18 on those
//   npm run test:matrix -- --only 16 test/e2e/overlap.spec.ts
// A file belongs to it by its place: everything in test/e2e but what is left out below, and the tests of the guard.
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';

const all = ['14', '15', '16', '17', '18'];
const suite = ['test/e2e/', 'test/integration/guard-'];
// about the service and its own database, which is of one major; or about clients and AWS, which know no majors
const leftOut = ['flood', 'kill-width', 'recipes', 'attached-faults'].map((name) => `test/e2e/${name}.spec.ts`);
const vitest = ['node_modules', 'vitest', 'vitest.mjs'].join('/');

const { values, positionals } = parseArgs({ options: { only: { type: 'string' } }, allowPositionals: true });
const majors = values.only?.split(',') ?? all;
const unknown = majors.filter((major) => !all.includes(major));
if (unknown.length > 0) {
  console.error(`test:matrix: there is no PostgreSQL ${unknown.join(', ')} here; there are ${all.join(', ')}`);
  process.exit(2);
}

const wanted = positionals.length > 0 ? positionals : [...suite, ...leftOut.flatMap((file) => ['--exclude', file])];

/** Runs the suite on one major; what it prints goes on as it comes. Ends with us, however we end (leash.mjs). */
function runOn(major) {
  const { promise, resolve, reject } = Promise.withResolvers();
  const child = spawn(process.execPath, ['--import', './scripts/leash.mjs', vitest, 'run', ...wanted], {
    env: { ...process.env, USHER_TEST_POSTGRES: major },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  let tail = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    process.stdout.write(text);
    tail = `${tail}${text}`.slice(-1_000);
  });
  child.on('error', reject);
  child.on('close', (code) => resolve({ code, tail }));
  running = child;
  return promise;
}

let running;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    running?.once('close', () => process.exit(1));
    running?.kill('SIGTERM');
  });
}

const results = [];
for (const major of majors) {
  console.log(`\n=== PostgreSQL ${major}`);
  const since = Date.now();
  const { code, tail } = await runOn(major);
  // the line of result-line.mjs; a run that broke off before it counts as one that failed
  const line = /^(?<passed>\d+) passed, (?<failed>\d+) failed(?:, (?<skipped>\d+) skipped)?$/m.exec(tail)?.groups ?? {};
  const [passed, failed, skipped] = [line.passed, line.failed, line.skipped].map((text) => Number(text ?? 0));
  const counted = { passed, failed: code === 0 ? failed : Math.max(1, failed), skipped };
  results.push({ major, ...counted, seconds: Math.round((Date.now() - since) / 1000) });
}

console.log('\n=== result\nPostgreSQL   passed   failed  skipped  seconds');
for (const { major, ...counts } of results)
  console.log(
    major.padEnd(10) +
      Object.values(counts)
        .map((count) => String(count).padStart(9))
        .join(''),
  );
const sum = (key) => results.reduce((total, result) => total + result[key], 0);
const skipped = sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : '';
console.log(`\n${sum('passed')} passed, ${sum('failed')} failed${skipped}`);
process.exitCode = sum('failed') === 0 ? 0 : 1;
