import { targetSql } from '../postgres/postgres.contract.js';
import { read, type Command } from './command.js';

const help = `usage: npm run usher -- target-sql > usher.sql

Prints the SQL that the owner of a database runs there once, and again to upgrade. docs/target-setup.md explains it, grant by grant.`;

export const command: Command = {
  help,
  run: (args) => {
    read(args, {}, []);
    process.stdout.write(targetSql());
    return Promise.resolve(0);
  },
};
