import { describe, expect, test } from 'vitest';
import { differencesOf, endpointChanges, merged } from './discovery-register.js';

const at = (kind: string, tokenHost: string, connectHost = tokenHost) => ({ kind, connectHost, tokenHost, port: 5432 });
const writer = at('writer', 'c.cluster-x.eu-west-1.rds.amazonaws.com');
const reader = at('reader', 'c.cluster-ro-x.eu-west-1.rds.amazonaws.com');
const instance = at('instance', 'i.x.eu-west-1.rds.amazonaws.com');
const proxy = at('proxy', 'p.proxy-x.eu-west-1.rds.amazonaws.com');
const tunnel = at('writer', writer.tokenHost, 'localhost');

describe('the endpoints of a target as AWS says', () => {
  test.each<[what: string, registered: (typeof writer)[], found: (typeof writer)[], next: (typeof writer)[]]>([
    ['one that is gone goes', [writer, reader], [writer], [writer]],
    ['one that is new comes', [writer], [writer, reader], [writer, reader]],
    ['a tunnel in front of one stays', [tunnel, reader], [writer, reader], [tunnel, reader]],
    ['a proxy with nothing behind it takes no writer', [proxy, writer], [proxy], [writer, proxy]],
    ['a cluster that names no writer for a while keeps it', [writer, reader], [reader], [writer, reader]],
    ['nothing at all takes nothing', [writer], [], [writer]],
    ['another writer takes the place of the old one', [writer], [instance], [instance]],
  ])('%s', (_what, registered, found, next) => {
    expect(merged(registered, found)).toEqual(next);
    const { gone, added } = endpointChanges(
      registered.map((one) => ({ ...one, id: one.tokenHost })),
      found as never,
    );
    const after = [...registered.filter((one) => !gone.some(({ id }) => id === one.tokenHost)), ...added];
    expect(new Set(after.map((one) => JSON.stringify(one)))).toEqual(new Set(next.map((one) => JSON.stringify(one))));
  });

  test('what stays is no difference', () => {
    const facts = { engineVersion: '', engineMode: null, caIdentifier: null, masterUser: null, tags: {} };
    const registered = { ...facts, engineMode: 'provisioned', caIdentifier: 'rds-ca-rsa2048-g1', endpoints: [tunnel] };
    expect(differencesOf(registered, { ...facts, endpoints: [writer] } as never)).toEqual([]);
    expect(
      differencesOf({ ...registered, endpoints: [proxy, writer] }, { ...facts, endpoints: [proxy] } as never),
    ).toEqual([]);
  });
});
