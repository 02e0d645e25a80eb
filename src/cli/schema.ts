import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GraphQLSchemaHost } from '@nestjs/graphql';
import { lexicographicSortSchema, printSchema } from 'graphql';
import { createApp } from '../app.js';
import { openApi } from '../openapi.js';
import { readSettings } from '../platform/config.js';
import { read, type Command } from './command.js';

const help = `usage: npm run usher -- schema [directory]   writes openapi.json and schema.graphql (default: schema)
       npm run usher -- schema --check [directory]   fails when the files there are not what the code says`;

/** Writes what the code says of the API, or with `--check` compares it with what is there. Nothing is connected to. */
export const command: Command = {
  help,
  run: async (args) => {
    const { values, positionals } = read(args, { check: { type: 'boolean' } }, ['directory']);
    const [directory = 'schema'] = positionals;
    const stale: string[] = [];
    for (const [name, text] of await schemas()) {
      const file = join(directory, name);
      if (values.check !== true) {
        await mkdir(directory, { recursive: true });
        await writeFile(file, text);
        console.log(`wrote ${file}`);
      } else if ((await readFile(file, 'utf8').catch(() => '')) !== text) stale.push(file);
    }
    if (stale.length > 0) console.error(`${stale.join(' and ')} differ from the code; run: npm run usher -- schema`);
    return stale.length > 0 ? 1 : 0;
  },
};

async function schemas(): Promise<[name: string, text: string][]> {
  const settings = { ...readSettings({ OIDC_ISSUER: 'https://issuer.invalid' }), jobs: false, logLevel: 'silent' };
  const app = await createApp({ settings, databaseUrl: 'postgresql://nobody@127.0.0.1:1/none' });
  try {
    const document = await openApi(app);
    const { schema } = app.get(GraphQLSchemaHost, { strict: false });
    return [
      ['openapi.json', `${JSON.stringify(document, null, 2)}\n`],
      ['schema.graphql', `${printSchema(lexicographicSortSchema(schema))}\n`],
    ];
  } finally {
    await app.close();
  }
}
