import { isIP } from 'node:net';

/** The eight groups of an IPv6 address, `::` filled in; undefined for what is none. A zone (`%eth0`) says nothing here. */
export function ipv6Groups(address: string): readonly number[] | undefined {
  const bare = address.split('%')[0] ?? '';
  if (isIP(bare) !== 6) return undefined;
  const text = new URL(`http://[${bare}]/`).hostname.slice(1, -1); // in one form, a tail in decimal included
  const [head = '', tail] = text.split('::');
  const groups = (part: string): number[] => (part === '' ? [] : part.split(':').map((group) => parseInt(group, 16)));
  if (tail === undefined) return groups(head);
  const [before, after] = [groups(head), groups(tail)];
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
}

/** The IPv4 address within an IPv6 one that stands for it (`::ffff:…`, RFC 4291), else undefined. */
export function mappedIpv4(groups: readonly number[]): string | undefined {
  const [high = 0, low = 0] = groups.slice(6);
  if (groups.slice(0, 5).some((group) => group !== 0) || groups[5] !== 0xffff) return undefined;
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** Who is counted as one caller: an IPv4 address, or the /64 that one connection of IPv6 has to itself (RFC 6177). */
export function networkOf(address: string | undefined): string {
  const groups = ipv6Groups(address ?? '');
  if (groups === undefined) return address ?? 'unknown';
  const prefix = groups.slice(0, 4).map((group) => group.toString(16));
  return mappedIpv4(groups) ?? `${prefix.join(':')}::/64`;
}

/** An address, or a network as CIDR: `10.1.2.3`, `10.0.0.0/8`, `2001:db8::/32`. No zones, no shortened IPv4. */
export function isAddressOrNetwork(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/');
  const family = text.includes('%') ? 0 : isIP(address);
  if (family === 0 || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}
