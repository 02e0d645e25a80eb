import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  completeRanges,
  consistencyRanges,
  emptyRoot,
  Frontier,
  inclusionRanges,
  leafHash,
  nodeHash,
  provesConsistency,
  provesInclusion,
  type Hash,
  type Range,
} from './merkle.js';

/** RFC 6962, 2.1, word for word. */
function rootOf(leaves: readonly Hash[]): Hash {
  if (leaves.length === 0) return emptyRoot;
  if (leaves.length === 1) return leaves[0]!;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return nodeHash(rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
}

const made = (count: number): Hash[] => Array.from({ length: count }, (_, index) => leafHash(`line ${index}`));
const hashesOf = (leaves: readonly Hash[], ranges: readonly Range[]): Hash[] =>
  ranges.map(({ start, end }) => rootOf(leaves.slice(start, end)));

// The leaves and roots with which implementations of Certificate Transparency are tested.
const known = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map(
  (hex) => leafHash(Buffer.from(hex, 'hex')),
);
const roots = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

describe('the known tree', () => {
  test('has the known root at every size', () => {
    const frontier = new Frontier();
    const seen = [frontier.root().toString('hex')];
    for (const leaf of known) {
      frontier.append(leaf);
      seen.push(frontier.root().toString('hex'));
    }
    expect(seen).toEqual(roots);
  });

  test.each([
    [0, 1, []],
    [
      0,
      8,
      [
        '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
      ],
    ],
    [
      5,
      8,
      [
        'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
        'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
        'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      ],
    ],
    [2, 3, ['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125']],
  ])('shows leaf %i of %i', (index, size, proof) => {
    const hashes = hashesOf(known, inclusionRanges(index, size));
    expect(hashes.map((hash) => hash.toString('hex'))).toEqual(proof);
    expect(provesInclusion(known[index]!, index, size, hashes, Buffer.from(roots[size]!, 'hex'))).toBe(true);
  });

  test.each([
    [1, 1, []],
    [
      6,
      8,
      [
        '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
        'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
        'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      ],
    ],
    [
      2,
      5,
      [
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      ],
    ],
  ])('shows how %i grew to %i', (from, to, proof) => {
    expect(hashesOf(known, consistencyRanges(from, to)).map((hash) => hash.toString('hex'))).toEqual(proof);
  });
});

const SIZE = 40;
const leaves = made(SIZE);

test('every leaf of every tree up to 40 is shown, and no other leaf, place, tree or proof', () => {
  for (let size = 1; size <= SIZE; size += 1) {
    const root = rootOf(leaves.slice(0, size));
    for (let index = 0; index < size; index += 1) {
      const proof = hashesOf(leaves, inclusionRanges(index, size));
      expect(proof.length).toBeLessThanOrEqual(Math.ceil(Math.log2(size)));
      expect(provesInclusion(leaves[index]!, index, size, proof, root)).toBe(true);
      expect(provesInclusion(leafHash('another'), index, size, proof, root)).toBe(false);
      expect(provesInclusion(leaves[index]!, (index + 1) % (size + 1), size, proof, root)).toBe(false);
      expect(provesInclusion(leaves[index]!, index, size, [...proof, root], root)).toBe(false);
      expect(provesInclusion(leaves[index]!, index, size, proof.slice(1), root)).toBe(size === 1);
    }
  }
});

test('every growth up to 40 is shown, and none where a leaf of the older tree was another', () => {
  for (let to = 1; to <= SIZE; to += 1)
    for (let from = 1; from <= to; from += 1) {
      const proof = hashesOf(leaves, consistencyRanges(from, to));
      const growth = { from, fromRoot: rootOf(leaves.slice(0, from)), to, toRoot: rootOf(leaves.slice(0, to)) };
      expect([from, to, provesConsistency(growth, proof)]).toEqual([from, to, true]);
      const changed = leaves.with((from * 7) % from, leafHash('another'));
      expect(provesConsistency({ ...growth, fromRoot: rootOf(changed.slice(0, from)) }, proof)).toBe(false);
      expect(provesConsistency({ ...growth, toRoot: rootOf(changed.slice(0, to)) }, proof)).toBe(false);
      const rewritten = hashesOf(changed, consistencyRanges(from, to));
      expect(provesConsistency({ ...growth, toRoot: rootOf(changed.slice(0, to)) }, rewritten)).toBe(false);
    }
});

test('a proof with a hash changed, left out, doubled or out of its order proves nothing', () => {
  const sizes = fc
    .tuple(fc.integer({ min: 1, max: SIZE }), fc.integer({ min: 1, max: SIZE }))
    .filter(([a, b]) => a < b);
  fc.assert(
    fc.property(sizes, fc.nat(), fc.constantFrom('change', 'leave', 'double', 'swap'), ([from, to], at, how) => {
      const proof = hashesOf(leaves, consistencyRanges(from, to));
      const place = at % proof.length;
      const wrong = {
        change: () => proof.with(place, leafHash('another')),
        leave: () => proof.toSpliced(place, 1),
        double: () => proof.toSpliced(place, 0, proof[place]!),
        swap: () => (proof.length === 1 ? [] : [...proof.slice(1), proof[0]!]),
      }[how]();
      const growth = { from, fromRoot: rootOf(leaves.slice(0, from)), to, toRoot: rootOf(leaves.slice(0, to)) };
      expect(provesConsistency(growth, wrong)).toBe(false);
    }),
  );
});

test('a frontier taken up at any size goes on as if it had never been put down', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: SIZE }), (size) => {
      const taken = new Frontier(size, hashesOf(leaves, completeRanges(size)));
      const nodes: [number, number, Hash][] = [];
      for (const leaf of leaves.slice(size)) taken.append(leaf, (...node) => nodes.push(node));
      expect(taken.root()).toEqual(rootOf(leaves));
      expect(taken.copy().root()).toEqual(rootOf(leaves));
      for (const [level, index, hash] of nodes)
        expect(hash).toEqual(rootOf(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level)));
    }),
  );
  expect(() => new Frontier(3, [leaves[0]!])).toThrow(RangeError);
});

test.each([
  [-1, 3],
  [3, 3],
  [0.5, 3],
  [2 ** 54, 2 ** 55],
])('there is no leaf %d in a tree of %d', (index, size) => {
  expect(provesInclusion(leaves[0]!, index, size, [], emptyRoot)).toBe(false);
});

test.each([
  [0, 3],
  [4, 3],
])('a tree of %i does not grow to %i', (from, to) => {
  expect(provesConsistency({ from, fromRoot: emptyRoot, to, toRoot: emptyRoot }, [])).toBe(false);
  expect(() => consistencyRanges(from, to)).toThrow(RangeError);
});
