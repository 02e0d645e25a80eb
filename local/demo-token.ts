/** Prints a login token for a live grant that alice has on orders, while the demo is up. For PGPASSWORD="$(…)". */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clientOf } from './demo-api.ts';
import type { Grant, LoginToken, Page } from './demo-api.ts';

interface DemoFile {
  api: string;
  people: { alice: { accessToken: string } };
  targets: { id: string; name: string }[];
}

const text = await readFile(join(import.meta.dirname, '../.usher/demo.json'), 'utf8').catch(() => {
  throw new Error('the demo is not up: npm run demo');
});
const { api, people, targets } = JSON.parse(text) as DemoFile;
const alice = clientOf(api, people.alice.accessToken);
const orders = targets.find(({ name }) => name === 'orders')?.id ?? '';
const { items } = await alice.get<Page<Grant>>(`/v1/grants?state=active&target=${orders}`);
const [grant] = items;
if (grant === undefined) throw new Error('alice has no live grant on orders: ask for one');
const { token } = await alice.post<LoginToken>(`/v1/grants/${grant.id}/tokens`);
process.stdout.write(token);
