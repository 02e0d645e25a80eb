import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { layersOf } from '../../local/aws/authorization.ts';
import type { Role, User } from '../../local/aws/iam-model.ts';
import { IamStore } from '../../local/aws/iam-store.ts';
import { evaluate } from '../../local/aws/policy-evaluator.ts';
import type { PolicyDocument } from '../../local/aws/policy-document.ts';
import { connectPolicy } from '../../src/aws/connect-policy.ts';
import { pack } from '../../src/aws/packing.ts';
import type { OwnPolicy } from '../../src/aws/packing-slot.ts';
import { INLINE_NAME, type PolicyWrite } from '../../src/aws/packing-task.ts';

const accountId = '123456789012';
const shardName = (number: number): string => `usher-user-ana-${number}`;
const shardArn = (name: string): string => `arn:aws:iam::${accountId}:policy/usher/${name}`;
const seed = Number(process.env['USHER_PACKING_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

/** Ids as RDS makes them, names as people have them: ARNs of 80 to 150 characters. */
const arnOf = (n: number): string => {
  const id = `${n % 3 === 0 ? 'db' : 'cluster'}-${(n * 7919).toString(36).toUpperCase().padStart(26, 'A')}`;
  return `arn:aws:rds-db:eu-west-1:${accountId}:dbuser:${id}/${'ana_'.padEnd(4 + ((n * 13) % 59), 'x')}`;
};

/** An account with one principal, whose IAM refuses whatever is beyond a quota. */
class Account {
  readonly iam = new IamStore(accountId, 'aws', () => new Date(0));
  readonly principal: User | Role;
  private readonly named = new WeakMap<PolicyDocument, Set<string>>();

  constructor(kind: 'user' | 'role') {
    const trust = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: '*', Action: 'sts:AssumeRole' }] };
    this.principal = kind === 'user' ? this.iam.createUser('ana') : this.iam.createRole('ana', trust);
  }

  get quotas() {
    const { userInlineSize, roleInlineSize, managedSize, versionsPerPolicy, attachedPerUser } = this.iam.quotas;
    const inline = this.principal.kind === 'user' ? userInlineSize : roleInlineSize;
    return { inline, managed: managedSize, versions: versionsPerPolicy, attached: attachedPerUser };
  }

  own(): OwnPolicy[] {
    const inline = [...this.principal.inline]
      .filter(([name]) => name.startsWith('usher-'))
      .map(([name, { text }]) => {
        return { place: 'inline' as const, name, attached: true, document: text, oldVersions: [] };
      });
    const managed = [...this.iam.policies.values()]
      .filter(({ path }) => path === '/usher/')
      .map(({ name, arn, versions, defaultVersionId }) => ({
        place: 'managed' as const,
        name,
        attached: this.principal.attached.has(arn),
        document: versions.get(defaultVersionId)?.text ?? '',
        oldVersions: [...versions.keys()].filter((id) => id !== defaultVersionId),
      }));
    return [...inline, ...managed];
  }

  pack(desired: readonly string[], most?: number) {
    const otherInline = [...this.principal.inline]
      .filter(([name]) => !name.startsWith('usher-'))
      .reduce((sum, [, { text }]) => sum + text.length, 0);
    const otherAttached = [...this.principal.attached].filter((arn) => !arn.includes('/usher/')).length;
    return pack({
      own: this.own(),
      otherInline,
      otherAttached,
      desired,
      quotas: this.quotas,
      shardName,
      ...(most && { most }),
    });
  }

  /** @throws ApiError where a quota is met, or IAM's order of things */
  write(write: PolicyWrite): void {
    const [{ iam, principal }, arn] = [this, shardArn(write.name)];
    switch (write.kind) {
      case 'putInline':
        iam.putInline(principal, write.name, { ...connectPolicy(write.arns) });
        return;
      case 'deleteInline':
        expect(principal.inline.delete(write.name)).toBe(true);
        return;
      case 'createPolicy':
        iam.createPolicy(write.name, { ...connectPolicy(write.arns) }, { path: '/usher/' });
        return;
      case 'createVersion':
        iam.createVersion(arn, { ...connectPolicy(write.arns) }, true);
        return;
      case 'attach':
        iam.attach(principal, arn);
        return;
      case 'detach':
        expect(principal.attached.delete(arn)).toBe(true);
        return;
      case 'deleteVersion':
        expect(iam.policy(arn).defaultVersionId).not.toBe(write.version);
        expect(iam.policy(arn).versions.delete(write.version)).toBe(true);
        return;
      case 'deletePolicy':
        expect(iam.attachmentCount(arn)).toBe(0);
        expect(iam.policy(arn).versions.size).toBe(1);
        expect(iam.policies.delete(arn)).toBe(true);
        return;
    }
  }

  /** By the evaluator, which knows nothing of how policies are packed. */
  reaches(arn: string): boolean {
    const question = { action: 'rds-db:connect', resource: arn, context: {} };
    return evaluate(layersOf(this.iam, this.principal), question).outcome === 'allowed';
  }

  /** All that is named in what is effective, after a look that nothing in it can mean more than it names. */
  namedNow(): Set<string> {
    const all = new Set<string>();
    for (const document of layersOf(this.iam, this.principal).identity) {
      let names = this.named.get(document);
      if (!names) {
        names = new Set();
        for (const { effect, actions, resources, conditions, notActions, notResources } of document.statements) {
          if (effect !== 'Allow' || actions.join() !== 'rds-db:connect') continue;
          if (conditions.length > 0 || notActions || notResources) throw new Error('it means more than it names');
          for (const arn of resources) {
            if (/[*?$]/.test(arn)) throw new Error(`${arn} means more than it names`);
            names.add(arn);
          }
        }
        this.named.set(document, names);
      }
      for (const arn of names) all.add(arn);
    }
    return all;
  }
}

/** Carries a change out, and looks after every write: what stays is never interrupted, and nothing else ever comes. */
function change(account: Account, before: ReadonlySet<string>, after: ReadonlySet<string>): PolicyWrite[] {
  const { writes, unplaced } = account.pack([...after]);
  expect(unplaced).toEqual([]);
  for (const write of writes) {
    account.write(write);
    const now = account.namedNow();
    for (const arn of before) if (after.has(arn) && !now.has(arn)) throw new Error(`${arn} was interrupted`);
    for (const arn of now) if (!before.has(arn) && !after.has(arn)) throw new Error(`${arn} came from nowhere`);
  }
  const reached = account.namedNow();
  if (reached.size !== after.size || [...after].some((arn) => !reached.has(arn)))
    throw new Error('what is reached is not what is granted');
  return [...writes];
}

/** Grants begin and end at random; the trend turns, so that shards fill and empty. */
function live(account: Account, steps: number, most: number, next: () => number): { peak: number; writes: number } {
  let granted: ReadonlySet<string> = new Set();
  let [peak, writes, rising] = [0, 0, true];
  for (let step = 0; step < steps; step++) {
    if (granted.size >= most) rising = false;
    if (granted.size === 0) rising = true;
    const ends = granted.size > 0 && next() < (rising ? 0.2 : 0.8);
    const after = new Set(granted);
    const one = ends ? [...granted][Math.floor(next() * granted.size)] : arnOf(Math.floor(next() * 100_000));
    if (one === undefined) continue;
    if (ends) after.delete(one);
    else after.add(one);
    const done = change(account, granted, after);
    if (done.length > 3) throw new Error(`${done.length} writes for one grant: ${done.map(({ kind }) => kind).join()}`);
    // the change itself, and one that should not have been touched
    if (account.reaches(one) === ends) throw new Error(`the evaluator says otherwise of ${one}`);
    granted = after;
    peak = Math.max(peak, granted.size);
    writes += done.length;
  }
  for (const arn of granted) if (!account.reaches(arn)) throw new Error(`${arn} is not reached`);
  return { peak, writes };
}

/** Random numbers of fast-check's seed. */
const numbers = (from: number): (() => number) => {
  let state = from >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
};

describe(`packing, seed ${seed}`, () => {
  test.each(['user', 'role'] as const)(
    'any life of grants on a %s, under the quotas of AWS',
    (kind) => {
      const most = kind === 'user' ? 330 : 430;
      fc.assert(
        fc.property(fc.integer({ min: 1 }), fc.integer({ min: 1, max: most }), (random, size) => {
          live(new Account(kind), 2 * size, size, numbers(random));
        }),
        { seed, numRuns: 4 },
      );
    },
    120_000,
  );

  test('five thousand grants on one principal whose quota was raised', () => {
    const account = new Account('role');
    account.iam.quotas.attachedPerUser = account.iam.quotas.attachedPerRole = 250;
    const all = Array.from({ length: 5_000 }, (_, n) => arnOf(n));
    expect(change(account, new Set(), new Set(all)).length).toBeGreaterThan(50);
    const { size } = account.principal.attached;
    const next = numbers(seed);
    let granted: ReadonlySet<string> = new Set(all);
    for (let step = 0; step < 60; step++) {
      const after = new Set(granted);
      const one = all[Math.floor(next() * all.length)] ?? '';
      if (!after.delete(one)) after.add(one);
      expect(change(account, granted, after).length).toBeLessThanOrEqual(3);
      granted = after;
    }
    expect(account.principal.attached.size).toBeLessThanOrEqual(size + 1);
    for (const arn of [...granted].slice(0, 20)) expect(account.reaches(arn)).toBe(true);
  }, 240_000);

  test('what others put on the principal is counted, and is still there', () => {
    const account = new Account('user');
    const theirs = { Effect: 'Deny', Action: 's3:*', Resource: `arn:aws:s3:::${'x'.repeat(900)}` };
    account.iam.putInline(account.principal, 'theirs', { Version: '2012-10-17', Statement: [theirs] });
    for (let n = 0; n < 7; n++) {
      const document = { Version: '2012-10-17', Statement: [{ ...theirs, Resource: 'arn:aws:s3:::b' }] };
      account.iam.attach(account.principal, account.iam.createPolicy(`theirs-${n}`, document).arn);
    }
    live(account, 400, 120, numbers(seed));
    expect(account.principal.inline.has('theirs')).toBe(true);
    expect([...account.principal.attached].filter((arn) => arn.includes('theirs'))).toHaveLength(7);
  });

  test('policies of an older Usher, one a grant, are taken over without an interruption', () => {
    const account = new Account('user');
    const old = Array.from({ length: 6 }, (_, n) => arnOf(1 + 3 * n));
    for (const [n, arn] of old.entries())
      account.iam.putInline(account.principal, `usher-grant-${n}`, { ...connectPolicy([arn]) });
    let granted: ReadonlySet<string> = new Set(old);
    for (let n = 0; n < 40; n++) {
      const after = new Set(granted).add(arnOf(1_000 + n));
      expect(change(account, granted, after).length).toBeLessThanOrEqual(3);
      granted = after;
    }
    expect([...account.principal.inline.keys()]).toEqual([INLINE_NAME]);
  });

  test('what was edited, taken off or made default by hand is put right', () => {
    const account = new Account('user');
    const all = Array.from({ length: 60 }, (_, n) => arnOf(n));
    const granted = new Set(all);
    change(account, new Set(), granted);
    change(account, granted, new Set(all.slice(0, 59)));
    change(account, new Set(all.slice(0, 59)), granted);
    const [shard] = account.iam.policies.values();
    if (!shard) throw new Error('no shard');
    const hands: (() => void)[] = [
      () => account.principal.attached.clear(),
      () => account.principal.inline.clear(),
      () => void (shard.defaultVersionId = [...shard.versions.keys()][0] ?? ''),
      () => account.iam.putInline(account.principal, INLINE_NAME, { ...connectPolicy([arnOf(777)]) }),
      () => {
        const Statement = [
          ...connectPolicy([all[0] ?? '']).Statement,
          { Effect: 'Allow', Action: 's3:*', Resource: '*' },
        ];
        account.iam.putInline(account.principal, INLINE_NAME, { Version: '2012-10-17', Statement });
      },
      () => {
        account.principal.attached.delete(shard.arn);
        account.iam.policies.delete(shard.arn);
      },
    ];
    for (const hand of hands) {
      hand();
      for (const write of account.pack(all).writes) account.write(write);
      expect(account.namedNow()).toEqual(granted);
      expect(account.principal.inline.get(INLINE_NAME)?.text).not.toContain('s3:');
      expect(account.pack(all).writes).toEqual([]);
    }
  });

  test('what fits nowhere is named, nothing of it is written, and all else is in its place', () => {
    const account = new Account('user');
    account.iam.quotas.attachedPerUser = 1;
    const all = Array.from({ length: 120 }, (_, n) => arnOf(n));
    const { writes, unplaced } = account.pack(all);
    expect(unplaced.length).toBeGreaterThan(20);
    for (const write of writes) account.write(write);
    expect(new Set([...account.namedNow(), ...unplaced])).toEqual(new Set(all));
    expect(account.pack(all)).toEqual({ writes: [], unplaced });
  });

  test('with nothing granted nothing is left, once it was tidied', () => {
    const account = new Account('user');
    const all = new Set(Array.from({ length: 150 }, (_, n) => arnOf(n)));
    change(account, new Set(), all);
    change(account, all, new Set());
    for (const write of account.pack([], 100).writes) account.write(write);
    expect(account.own()).toEqual([]);
  });
});
