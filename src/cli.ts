import 'reflect-metadata';
import { UsageError, type Command } from './cli/command.js';
import { ConfigError } from './platform/config.js';

/** Each is loaded when it is asked for: printing SQL needs neither AWS nor the framework. */
const commands = new Map<string, { summary: string; load: () => Promise<{ command: Command }> }>([
  [
    'target-sql',
    {
      summary: 'print the SQL that the owner of a database runs there once, and again to upgrade',
      load: () => import('./cli/target-sql.js'),
    },
  ],
  [
    'target-check',
    {
      summary: 'prove each right that the broker needs on a target, and print what is missing',
      load: () => import('./cli/target-check.js'),
    },
  ],
  [
    'target-retire',
    {
      summary: 'for the DBA: take a login out for good, and park what it owns',
      load: () => import('./cli/target-retire.js'),
    },
  ],
  [
    'aws-policy',
    {
      summary: 'print the least IAM policies that let Usher work in an AWS account',
      load: () => import('./cli/aws-policy.js'),
    },
  ],
  [
    'audit',
    {
      summary: 'verify the record against its checkpoints, export it, take a person out of it',
      load: () => import('./cli/audit.js'),
    },
  ],
  [
    'schema',
    {
      summary: 'write openapi.json and schema.graphql, or check that they are fresh',
      load: () => import('./cli/schema.js'),
    },
  ],
]);

const HELP = `usage: npm run usher -- <command> [--help]

${[...commands].map(([name, { summary }]) => `  ${name.padEnd(15)}${summary}`).join('\n')}

docs/target-setup.md explains those for targets, grant by grant.`;

const asksForHelp = (word: string | undefined): boolean => ['help', '--help', '-h'].includes(word ?? '');

/** Commands of an operator. Ends with 0 when done, 1 when it failed or something is missing, 2 for a wrong call. */
async function run([name, ...args]: readonly string[]): Promise<number> {
  if (name === undefined || asksForHelp(name)) {
    console.log(HELP);
    return 0;
  }
  const known = commands.get(name);
  if (known === undefined) throw new UsageError(`There is no command ${JSON.stringify(name)}.\n\n${HELP}`);
  const { command } = await known.load();
  if (args.some((word) => word === '--help' || word === '-h')) {
    console.log(command.help);
    return 0;
  }
  return command.run(args);
}

run(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const wrong = error instanceof UsageError || error instanceof ConfigError;
    console.error(error instanceof Error ? error.message : error);
    if (error instanceof UsageError && commands.has(process.argv[2] ?? ''))
      console.error(`See npm run usher -- ${process.argv[2]} --help`);
    process.exitCode = wrong ? 2 : 1;
  },
);
