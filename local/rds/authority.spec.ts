import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { createRdsAuthority, restoreAuthority } from './authority.ts';

const chainOf = (pem: string): X509Certificate[] => pem.split(/(?=-----BEGIN)/).map((one) => new X509Certificate(one));

test('the root is shaped like a regional RDS root', () => {
  const root = new X509Certificate(createRdsAuthority('eu-west-1').caPem);
  expect(root.subject).toContain('CN=Amazon RDS eu-west-1 Root CA RSA2048 G1');
  expect(root.ca).toBe(true);
  expect(root.verify(root.publicKey)).toBe(true);
  expect(new Date(root.validTo).getUTCFullYear()).toBeGreaterThan(2060); // past 2049 the encoding of dates changes
});

test('a server certificate chains over a subordinate to the root, and is for its name only', () => {
  const authority = createRdsAuthority('eu-west-1');
  const [leaf, subordinate] = chainOf(authority.server(['localhost']).certPem);
  const root = new X509Certificate(authority.caPem);
  expect(leaf?.subjectAltName).toBe('DNS:localhost');
  expect(leaf?.checkHost('localhost')).toBe('localhost');
  expect(leaf?.checkIP('127.0.0.1')).toBeUndefined();
  expect(leaf?.ca).toBe(false);
  expect(leaf?.checkIssued(subordinate ?? root)).toBe(true);
  expect(leaf?.verify((subordinate ?? root).publicKey)).toBe(true);
  expect(subordinate?.verify(root.publicKey)).toBe(true);
  expect(leaf?.verify(root.publicKey)).toBe(false);
});

test('two authorities of one name do not vouch for each other', () => {
  const [leaf] = chainOf(createRdsAuthority('eu-west-1').server(['localhost']).certPem);
  const [, other] = chainOf(createRdsAuthority('eu-west-1').server(['localhost']).certPem);
  expect(leaf?.verify(other?.publicKey ?? leaf.publicKey)).toBe(false);
});

test('a client certificate names the user as it is, any characters', () => {
  const name = 'jane+prod,cn=x "é"';
  const [leaf] = chainOf(createRdsAuthority('eu-west-1').client(name).certPem);
  expect(leaf?.toLegacyObject().subject.CN).toBe(name);
  expect(leaf?.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
});

test('an exported authority signs what the first one vouches for', () => {
  const first = createRdsAuthority('eu-west-1');
  const again = restoreAuthority(first.export());
  expect(again.caPem).toBe(first.caPem);
  const [, subordinate] = chainOf(first.server(['localhost']).certPem);
  const [leaf] = chainOf(again.server(['localhost']).certPem);
  expect(leaf?.verify(subordinate?.publicKey ?? leaf.publicKey)).toBe(true);
});
