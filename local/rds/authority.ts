/**
 * A certificate authority in the shape of Amazon RDS: a long-lived regional root, which clients trust, and a subordinate
 * that signs the short-lived certificates of the servers. Also signs the client certificates of `front.ts`.
 * X.509 v3 (RFC 5280) in the few structures that PostgreSQL, OpenSSL and Node look at; keys are EC P-256.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

// ------------------------------------------------------------------------------------------------------------- DER

function der(tag: number, ...content: Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const hex = body.length.toString(16);
  const length = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body]);
}

const sequence = (...content: Uint8Array[]): Buffer => der(0x30, ...content);
const integer = (bytes: Uint8Array): Buffer => der(0x02, bytes);
const octets = (content: Uint8Array): Buffer => der(0x04, content);
const bits = (unused: number, content: Uint8Array): Buffer => der(0x03, Buffer.from([unused]), content);
const yes = der(0x01, Buffer.from([0xff]));

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const groups = [part & 0x7f];
    for (let left = part >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(0x06, Buffer.from(bytes));
}

/** RFC 5280 4.1.2.5: two-digit years through 2049, four digits from 2050. */
function time(at: Date): Buffer {
  const digits = at
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(/[-:T]/g, '');
  return at.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits));
}

const name = (commonName: string, organisation?: string): Buffer =>
  sequence(
    ...(organisation === undefined ? [] : [der(0x31, sequence(oid('2.5.4.10'), der(0x0c, Buffer.from(organisation))))]),
    der(0x31, sequence(oid('2.5.4.3'), der(0x0c, Buffer.from(commonName)))),
  );

const extension = (id: string, critical: boolean, value: Uint8Array): Buffer =>
  sequence(oid(id), ...(critical ? [yes] : []), octets(value));

const pem = (label: string, content: Buffer): string =>
  `-----BEGIN ${label}-----\n${(content.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END ${label}-----\n`;

// ---------------------------------------------------------------------------------------------------- certificates

/** A certificate (with those of the subordinates that sign it, leaf first) and its key, both PEM. */
export interface Certificate {
  certPem: string;
  keyPem: string;
}

export interface Authority {
  /** The root, PEM: what clients trust, as in a regional RDS bundle. */
  readonly caPem: string;
  /** One year, for the given DNS names only; no IP address, as on RDS. */
  server(dnsNames: readonly [string, ...string[]]): Certificate;
  /** One day, with the user name as its common name (what pg_hba `cert` compares). */
  client(user: string): Certificate;
  /** Root and subordinate with their keys, PEM: a secret, to be given to {@link restoreAuthority}. */
  export(): string;
}

interface Signer {
  subject: Buffer;
  key: KeyObject;
  certPem: string;
}

const DAY = 86_400_000;
const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));
const keyId = (key: KeyObject): Buffer =>
  createHash('sha1')
    .update(createPublicKey(key).export({ type: 'spki', format: 'der' }))
    .digest();
const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
const keyPem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

/** Key usages by their bit in RFC 5280 4.2.1.3. */
const signsCertificates = bits(1, Buffer.from([0b0000_0110]));
const digitalSignature = bits(7, Buffer.from([0b1000_0000]));

function certificate(
  subject: Buffer,
  key: KeyObject,
  issuer: { subject: Buffer; key: KeyObject },
  days: number,
  extensions: Buffer[],
): string {
  const now = Date.now();
  // an hour back, for a client whose clock is a little behind
  const validity = sequence(time(new Date(now - DAY / 24)), time(new Date(now + days * DAY)));
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40; // positive, and of full length
  const body = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(serial),
    ecdsaWithSha256,
    issuer.subject,
    validity,
    subject,
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    der(
      0xa3,
      sequence(
        ...extensions,
        extension('2.5.29.14', false, octets(keyId(key))),
        extension('2.5.29.35', false, sequence(der(0x80, keyId(issuer.key)))),
      ),
    ),
  );
  return pem('CERTIFICATE', sequence(body, ecdsaWithSha256, bits(0, sign('sha256', body, issuer.key))));
}

const caExtensions = (pathLength: number): Buffer[] => [
  extension('2.5.29.19', true, sequence(yes, integer(Buffer.from([pathLength])))),
  extension('2.5.29.15', true, signsCertificates),
];

const leafExtensions = (usage: string, dnsNames: readonly string[]): Buffer[] => [
  extension('2.5.29.19', true, sequence()),
  extension('2.5.29.15', true, digitalSignature),
  extension('2.5.29.37', false, sequence(oid(usage))),
  ...(dnsNames.length === 0
    ? []
    : [extension('2.5.29.17', false, sequence(...dnsNames.map((dns) => der(0x82, Buffer.from(dns)))))]),
];

function authorityOf(root: Signer, subordinate: Signer): Authority {
  const leaf = (commonName: string, usage: string, days: number, dnsNames: readonly string[]): Certificate => {
    const key = newKey();
    const cert = certificate(name(commonName), key, subordinate, days, leafExtensions(usage, dnsNames));
    return { certPem: cert + subordinate.certPem, keyPem: keyPem(key) };
  };
  return {
    caPem: root.certPem,
    server: (dnsNames) => leaf(dnsNames[0], '1.3.6.1.5.5.7.3.1', 365, dnsNames),
    client: (user) => leaf(user, '1.3.6.1.5.5.7.3.2', 1, []),
    export: () =>
      JSON.stringify(
        [root, subordinate].map(({ subject, key, certPem }) => ({
          subject: subject.toString('base64'),
          key: keyPem(key),
          certPem,
        })),
      ),
  };
}

/** A new authority of the given common name, such as the one of a real regional root. */
export function createAuthority(commonName: string): Authority {
  const organisation = 'Local stand-in for Amazon RDS';
  const root = { subject: name(commonName, organisation), key: newKey() };
  const rootPem = certificate(root.subject, root.key, root, 40 * 365, caExtensions(1));
  const below = { subject: name(`${commonName} Subordinate`, organisation), key: newKey() };
  const belowPem = certificate(below.subject, below.key, root, 5 * 365, caExtensions(0));
  return authorityOf({ ...root, certPem: rootPem }, { ...below, certPem: belowPem });
}

/** As on RDS: `Amazon RDS {region} Root CA RSA2048 G1`, marked as what it is. */
export const createRdsAuthority = (region: string): Authority =>
  createAuthority(`Amazon RDS ${region} Root CA RSA2048 G1 (stand-in)`);

/** The authority that `export()` wrote, so that clients go on trusting it after a restart. */
export function restoreAuthority(exported: string): Authority {
  const [root, subordinate] = (JSON.parse(exported) as { subject: string; key: string; certPem: string }[]).map(
    (one) => ({
      subject: Buffer.from(one.subject, 'base64'),
      key: createPrivateKey(one.key),
      certPem: one.certPem,
    }),
  );
  if (root === undefined || subordinate === undefined) throw new Error('not an exported authority');
  return authorityOf(root, subordinate);
}
