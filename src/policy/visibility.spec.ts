import { describe, expect, test } from 'vitest';
import type { PersonActor, PersonId } from '../platform/actor.js';
import { scopes, type Scope } from './policy.contract.js';
import { visibility, visibleRows } from './visibility.js';

const ana: PersonActor = {
  kind: 'person',
  id: 'ana' as PersonId,
  name: 'Ana',
  issuer: 'https://idp.example',
  subject: 'ana',
  groups: ['engineers', 'orders-owners'],
  locked: false,
  authenticatedAt: undefined,
  address: undefined,
  correlationId: 'c',
};

async function seen(allowed: readonly Scope[]) {
  const asked: (readonly string[])[] = [];
  const found = await visibility(ana, allowed, (groups) => {
    asked.push(groups);
    return Promise.resolve(['t1', 't2']);
  });
  return { asked, rows: visibleRows(found) };
}
const own = { personId: 'ana' };
const owned = { targetId: { in: ['t1', 't2'] } };
const none = { targetId: { in: [] } };

describe('what a list shows', () => {
  test.each<[string, Scope[], object]>([
    ['nothing', [], { OR: [none] }],
    ['own', ['own'], { OR: [own, none] }],
    ['owned', ['owned'], { OR: [owned] }],
    ['own and owned', ['own', 'owned'], { OR: [own, owned] }],
    ['all', ['all'], {}],
    ['all beside others', [...scopes], {}],
  ])('%s', async (_, allowed, rows) => expect((await seen(allowed)).rows).toEqual(rows));

  test("targets are looked for only when it matters, by the person's own groups", async () => {
    expect((await seen(['own'])).asked).toEqual([]);
    expect((await seen(['all', 'owned'])).asked).toEqual([]);
    expect((await seen(['own', 'owned'])).asked).toEqual([ana.groups]);
  });
});
