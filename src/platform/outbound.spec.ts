import { once } from 'node:events';
import { get } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isNetwork, Outbound } from './outbound.js';

const outbound = new Outbound();
const inside = new Outbound(['10.0.0.0/8', 'fd12:3456::/32', '127.0.0.0/8', '::1/128']);
const open = new Outbound(['0.0.0.0/0', '::/0']);

describe('a URL', () => {
  test.each([
    'https://sts.eu-west-1.amazonaws.com',
    'https://vpce-0123.sts.eu-west-1.vpce.amazonaws.com:8443/path?a=b',
    'https://52.94.5.1/',
    'https://[2a05:d018::1]/',
    'https://example.com./',
    'https://[::ffff:52.94.5.1]/',
  ])('%s may be reached', (url) => expect(outbound.refusalOf(url)).toBeUndefined());

  test.each<[string, RegExp]>([
    ['', /no URL/],
    ['sts.amazonaws.com', /no URL/],
    ['https://', /no URL/],
    ['http://sts.amazonaws.com', /not https/],
    ['ftp://sts.amazonaws.com', /not https/],
    ['file:///etc/passwd', /not https/],
    ['gopher://127.0.0.1:6379/_x', /not https/],
    ['javascript:alert(1)', /not https/],
    ['https://user@sts.amazonaws.com', /user or a password/],
    ['https://:pw@sts.amazonaws.com', /user or a password/],
    ['https://sts.amazonaws.com@127.0.0.1/', /user or a password/],
    ...[
      ...[
        '127.0.0.1',
        '127.1',
        '0x7f000001',
        '2130706433',
        '0177.0.0.1',
        '017700000001',
        '0x7f.1',
        '127.0.0.1.',
        '0',
        '0.0.0.0',
      ],
      ...['localhost', 'LOCALHOST', 'localhost.', 'a.localhost', 'a.localhost.', '[::1]', '[::]', '[0:0:0:0:0:0:0:1]'],
      ...[
        '10.1.2.3',
        '172.16.0.1',
        '172.31.255.255',
        '192.168.1.1',
        '100.64.0.1',
        '100.100.100.200',
        '198.18.0.1',
        '224.0.0.1',
        '255.255.255.255',
      ],
      ...[
        '[::ffff:127.0.0.1]',
        '[::ffff:7f00:1]',
        '[::ffff:10.0.0.1]',
        '[::127.0.0.1]',
        '[64:ff9b::7f00:1]',
        '[64:ff9b::10.0.0.1]',
        '[2002:7f00:1::]',
      ],
      ...[
        '[fc00::1]',
        '[fd12:3456::1]',
        '[ff02::1]',
        '[2001:db8::1]',
        '[2001::1]',
        '[100::1]',
        '１２７.０.０.１',
        '①②⑦.0.0.1',
        '127。0。0。1',
      ],
    ].map((host): [string, RegExp] => [`https://${host}/`, /not public/]),
    ...[
      ...[
        '169.254.169.254',
        '2852039166',
        '0xa9fea9fe',
        '0251.0376.0251.0376',
        '169.254.43518',
        '169.254.170.2',
        '169.254.169.254.',
      ],
      ...['[::ffff:169.254.169.254]', '[::ffff:a9fe:a9fe]', '[fe80::1]', '[fd00:ec2::254]'],
    ].map((host): [string, RegExp] => [`https://${host}/latest/meta-data/`, /credentials/]),
  ])('%s may not', (url, why) => expect(outbound.refusalOf(url)).toMatch(why));

  test.each([
    'https://10.1.2.3/',
    'https://[fd12:3456::1]/',
    'https://[::ffff:10.1.2.3]/',
    'http://127.0.0.1:1/',
    'http://localhost:1/',
    'https://[::1]/',
  ])('%s may where the operator allowed its network', (url) =>
    expect([inside.refusalOf(url), outbound.refusalOf(url)]).toEqual([undefined, expect.any(String)]),
  );

  test.each([
    'https://169.254.169.254/',
    'https://[::ffff:169.254.169.254]/',
    'https://[fd00:ec2::254]/',
    'http://10.0.0.1/',
    'https://a:b@10.0.0.1/',
  ])('%s may not, whatever the operator allowed', (url) => expect(open.refusalOf(url)).toEqual(expect.any(String)));

  test('of any spelling of an address that is not public is refused', () => {
    const octet = fc.nat({ max: 255 });
    const spelt = (n: number, how: number): string =>
      how === 0 ? String(n) : how === 1 ? `0x${n.toString(16)}` : `0${n.toString(8)}`;
    const how = fc.nat({ max: 2 });
    fc.assert(
      fc.property(
        fc.constantFrom([127], [10], [192, 168], [169, 254]),
        octet,
        octet,
        octet,
        fc.tuple(how, how, how, how),
        (start, a, b, c, hows) => {
          const host = [...start, a, b, c].slice(0, 4).map((n, index) => spelt(n, hows[index] ?? 0));
          expect(outbound.refusalOf(`https://${host.join('.')}/`)).toEqual(expect.any(String));
        },
      ),
    );
  });

  test('of any text is answered, and never with an exception', () =>
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.webUrl(),
          fc.string().map((text) => `https://${text}`),
        ),
        (text) => {
          expect(['string', 'undefined']).toContain(typeof outbound.refusalOf(text));
        },
      ),
    ));
});

describe('a connection', () => {
  const fetched = (guard: Outbound, port: number): Promise<string> =>
    new Promise((resolve) => {
      get({ host: 'localhost', port, lookup: guard.lookup, agent: false }, (answer) => {
        answer.resume();
        resolve(`status ${answer.statusCode}`);
      }).on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });

  test('goes to the address that was looked at, and to no other', async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections += 1;
      socket.end('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n');
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      expect(await fetched(outbound, port)).toBe('ERR_OUTBOUND');
      expect(connections).toBe(0);
      expect(await fetched(inside, port)).toBe('status 204');
    } finally {
      server.close();
    }
  });
});

test.each(['10.0.0.0/8', '::1/128', '0.0.0.0/0'])('%s is a network', (text) => expect(isNetwork(text)).toBe(true));
test.each(['10.0.0.0', '10.0.0.0/33', '10.0.0/8', 'localhost/8', '::1/129', '10.0.0.0/', '10.0.0.0/8x', ''])(
  '%s is none',
  (text) => expect(isNetwork(text)).toBe(false),
);
