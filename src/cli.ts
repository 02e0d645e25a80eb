import 'reflect-metadata';
import { targetSql } from './postgres/postgres.contract.js';

const HELP = `usage: npm run usher -- <command>

  target-sql          print the SQL that the owner of a database runs there once, and again to upgrade
  schema [directory]  write openapi.json and schema.graphql (default: schema)
  schema --check      fail when the files in schema/ are not what the code says
  help                this text

docs/target-setup.md explains what target-sql installs, grant by grant.`;

/** Commands of an operator. Ends with 0 when done, 1 when it failed, 2 for a command that does not exist. */
async function run([command, ...args]: readonly string[]): Promise<number> {
  switch (command) {
    case 'target-sql':
      process.stdout.write(targetSql());
      return 0;
    case 'schema': {
      const { writeSchema } = await import('./cli/schema.js');
      return writeSchema(args);
    }
    case undefined:
    case 'help':
    case '--help':
    case '-h':
      console.log(HELP);
      return 0;
    default:
      console.error(`There is no command ${JSON.stringify(command)}.\n\n${HELP}`);
      return 2;
  }
}

run(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  },
);
