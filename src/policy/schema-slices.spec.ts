import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import { describe, expect, test } from 'vitest';
import { SchemaSlices } from './schema-slices.js';

const schema = `
namespace Usher {
  entity Person { locked: Bool };
  action all;
  action use in [all];
  action mint in [use] appliesTo { principal: Person, resource: Person };
  action look appliesTo { principal: Person, resource: Person };
}`;
const ana = { type: 'Usher::Person', id: 'ana' };

function answered(place: string, action: string, scope: string): cedar.AuthorizationAnswer {
  const staticPolicies = { only: `permit (principal, action ${scope}, resource);` };
  cedar.preparsePolicySet(`set:${scope}`, { staticPolicies });
  return cedar.statefulIsAuthorized({
    ...{ principal: ana, resource: ana, action: { type: 'Usher::Action', id: action }, context: {} },
    entities: [{ uid: ana, attrs: { locked: false }, parents: [] }],
    ...{ preparsedPolicySetId: `set:${scope}`, preparsedSchemaName: place, validateRequest: true },
  });
}

describe('the schema of one action', () => {
  const slices = new SchemaSlices(schema, 'spec');

  test.each([
    ['== Usher::Action::"mint"', 'allow'],
    ['in Usher::Action::"use"', 'allow'],
    ['in Usher::Action::"all"', 'allow'],
    ['in Usher::Action::"look"', 'deny'],
  ])('knows the groups above it: action %s, %s', (scope, decision) => {
    expect(answered(slices.placeOf('mint'), 'mint', scope)).toMatchObject({ response: { decision } });
  });

  test('knows no other action, so nothing is decided by the wrong part', () => {
    expect(answered(slices.placeOf('look'), 'mint', '== Usher::Action::"mint"')).toMatchObject({ type: 'failure' });
  });

  test('is made once', () => expect(slices.placeOf('look')).toBe(slices.placeOf('look')));

  test.each(['nothing', 'toString', '__proto__'])('is refused for %s, which is no action', (name) => {
    expect(() => slices.placeOf(name)).toThrow(`the schema has no action ${name}`);
  });

  test('what is no schema is refused', () => {
    expect(() => new SchemaSlices('namespace {', 'spec')).toThrow(/parse/);
  });
});
