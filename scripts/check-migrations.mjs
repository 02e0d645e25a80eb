// Proves that prisma/migrations make what prisma/schema.prisma says: both are compared on an empty PostgreSQL of our own.
// With --script: prints the SQL that would make up the difference, as the draft of a migration, and nothing else on stdout.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { binariesOf, startPostgres } from '../src/platform/embedded-postgres.ts';

const script = process.argv.includes('--script');
const root = resolve(import.meta.dirname, '..');
const superuserPassword = randomBytes(16).toString('hex');
const place = await mkdtemp(join(tmpdir(), 'usher-migrations-'));
const server = await startPostgres({
  binaries: binariesOf(),
  dataDir: join(place, 'data'),
  superuser: 'postgres',
  superuserPassword,
  ephemeral: true,
  settings: { fsync: 'off' },
});
try {
  const args = ['migrate', 'diff', '--from-migrations', 'prisma/migrations', '--to-schema', 'prisma/schema.prisma'];
  const prisma = spawn(
    process.execPath,
    ['node_modules/prisma/build/index.js', ...args, script ? '--script' : '--exit-code'],
    {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
        // by the environment: arguments can be read by everybody on the machine
        DATABASE_URL: `postgresql://postgres:${superuserPassword}@${server.host}:${server.port}/postgres`,
        PRISMA_SCHEMA_ENGINE_BINARY: join(root, 'prisma/offline-engine.mjs'),
        PRISMA_HIDE_UPDATE_MESSAGE: '1',
        CHECKPOINT_DISABLE: '1',
      },
    },
  );
  const output = [];
  prisma.stdout.on('data', (chunk) => output.push(chunk));
  const [code] = await once(prisma, 'close');
  const answer = Buffer.concat(output).toString();
  process.stdout.write(answer);
  // 0: the same; 2: a difference; 1: could not compare. The text too, for the CLI also ends with 0 when its engine crashed
  let same = code === 0 && answer.includes('No difference detected');
  if (script) same = code === 0 && answer.trim() !== '';
  if (code === 2) console.error('prisma/migrations do not make what prisma/schema.prisma says: see CONTRIBUTING.md');
  else if (!same) console.error('the migrations could not be compared with prisma/schema.prisma');
  process.exitCode = same ? 0 : 1;
} finally {
  await server.stop('immediate');
  await rm(place, { recursive: true, force: true });
}
