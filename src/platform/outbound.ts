import { lookup as resolve, type LookupAddress } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { ipv6Groups, mappedIpv4 } from './network.js';

/** Not the public internet: IANA's registry of special-purpose IPv4 addresses (RFC 6890), multicast and reserved ones. */
const SPECIAL = networks([
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24'],
  ...['224.0.0.0/4', '240.0.0.0/4'],
  // within 2000::/3: IETF protocol assignments and Teredo, documentation, and 6to4, which wraps any IPv4 address
  ...['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'],
]);
/** Of IPv6 only this is the public internet; NAT64, unique-local, link-local and all others are not. */
const PUBLIC_IPV6 = networks(['2000::/3']);
/** Where clouds hand out the credentials of the machine: no setting opens these. */
const METADATA = networks(['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::/32']);
const LOOPBACK = networks(['127.0.0.0/8', '::1/128']);

/** @throws Error for what is no CIDR */
function networks(list: readonly string[]): BlockList {
  const block = new BlockList();
  for (const network of list) {
    const [address = '', prefix = ''] = network.split('/');
    const family = isIP(address);
    const bits = /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
    if (family === 0 || bits < 0 || bits > (family === 4 ? 32 : 128)) throw new Error(`${network} is no network`);
    block.addSubnet(address, bits, family === 4 ? 'ipv4' : 'ipv6');
  }
  return block;
}

/** As CIDR, `10.0.0.0/8` or `fd12:3456::/32`. */
export function isNetwork(text: string): boolean {
  try {
    networks([text]);
    return true;
  } catch {
    return false;
  }
}

/**
 * Where Usher may be sent by a URL that a person gave: https, to the public internet and to networks that the operator named, never to
 * where a machine's credentials are. A URL is looked at when it comes in and when it is used; a name is looked at again when it is
 * resolved, and the connection goes to the very address that was looked at.
 */
export class Outbound {
  readonly #allowed: BlockList;

  /** @param allowed networks that are not public and may be reached all the same, as CIDR */
  constructor(allowed: readonly string[] = []) {
    this.#allowed = networks(allowed);
  }

  /** Why nobody is to be sent there, as the rest of a sentence; undefined when it may be. */
  refusalOf(text: string): string | undefined {
    const url = URL.parse(text);
    if (url === null) return 'is no URL';
    if (url.username !== '' || url.password !== '') return 'holds a user or a password';
    // URL has put every spelling of an IPv4 address (decimal, octal, short) into the usual one
    const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
    const loopback = isIP(host) === 0 ? /(?:^|\.)localhost$/i.test(host) : has(LOOPBACK, host);
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback)) return 'is not https';
    if (isIP(host) !== 0) return this.refusalOfAddress(host);
    if (host === '') return 'names no host';
    return loopback ? this.refusalOfAddress('127.0.0.1') : undefined;
  }

  /** The same for an address that a name was resolved to. */
  refusalOfAddress(address: string): string | undefined {
    if (isIP(address) === 0) return 'is no address';
    if (has(METADATA, address)) return 'leads to where machines get their credentials';
    if (has(this.#allowed, address)) return undefined;
    const groups = ipv6Groups(address);
    const isPublic =
      (groups === undefined || mappedIpv4(groups) !== undefined || has(PUBLIC_IPV6, address)) && !has(SPECIAL, address);
    return isPublic
      ? undefined
      : 'leads into a network that is not public and was not allowed (USHER_OUTBOUND_NETWORKS)';
  }

  /**
   * In place of `dns.lookup` for an agent or a socket: fails for a name of which any address may not be reached. Node connects to
   * what this answers and asks nobody again, so that a name cannot mean something else by then.
   */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error) return callback(error, []);
      const refusal = found.map(({ address }) => this.refusalOfAddress(address)).find((one) => one !== undefined);
      const [first] = found;
      if (refusal !== undefined || !first) {
        const refused = new Error(`${hostname} ${refusal ?? 'has no address'}`);
        return callback(Object.assign(refused, { code: 'ERR_OUTBOUND' }), []);
      }
      return options.all ? callback(null, found) : callback(null, first.address, first.family);
    });
  };
}

/** An IPv6 address that only wraps an IPv4 one is that. */
function has(block: BlockList, address: string): boolean {
  const groups = ipv6Groups(address);
  if (groups === undefined) return block.check(address, 'ipv4');
  const inner = mappedIpv4(groups);
  return inner === undefined ? block.check(address.split('%')[0] ?? '', 'ipv6') : block.check(inner, 'ipv4');
}
