import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { command } from './aws-policy.js';
import { UsageError } from './command.js';

const account = ['--account', '210987654321', '--external-id', 'shared'];
const whole = [...account, '--usher', 'arn:aws:iam::123456789012:role/usher'];

afterEach(() => vi.restoreAllMocks());

const printed = async (...args: string[]): Promise<string> => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
  expect(await command.run(args)).toBe(0);
  return String(log.mock.lastCall?.[0]);
};

test.each([
  ['terraform', 'account', 'terraform/account/main.tf.json'],
  ['terraform', 'usher', 'terraform/usher/main.tf.json'],
  ['cloudformation', 'account', 'cloudformation/account.json'],
  ['cloudformation', 'usher', 'cloudformation/usher.json'],
])('--format %s --part %s prints %s', async (format, part, path) => {
  const file = readFileSync(join(import.meta.dirname, '../../deploy/aws', path), 'utf8');
  expect(`${await printed('--format', format, '--part', part)}\n`).toBe(file);
});

test('modes are as they were asked for, and the usual ones when none was', async () => {
  const sids = async (...args: string[]) =>
    (JSON.parse(await printed(...whole, ...args)) as { broker: { Statement: { Sid: string }[] } }).broker.Statement.map(
      ({ Sid }) => Sid,
    );
  expect(await sids('--mode', 'secrets', '--mode', 'session')).toEqual([
    ...['SayWhatIsAllowed', 'SignForPeople', 'ReadBrokerPasswords'],
  ]);
  expect(await sids()).toEqual(expect.arrayContaining(['SignForPeople', 'WriteInlinePolicies', 'ReadRds']));
  expect(await sids()).not.toContain('SwitchIamAuthenticationOn');
});

test('a key of the record may be signed with by Usher’s own principal, as checkpoints are signed, where one is named', async () => {
  const arn = 'arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';
  const usher = async (...args: string[]) =>
    (JSON.parse(await printed(...whole, ...args)) as { usher: { Statement: { Sid: string; Resource: string[] }[] } })
      .usher.Statement;
  expect((await usher()).map(({ Sid }) => Sid)).toEqual(['EnterTheAccount']);
  expect((await usher('--record-key', arn)).slice(1)).toMatchObject([
    { Sid: 'ReadRecordKey', Action: ['kms:GetPublicKey'], Resource: [arn] },
    {
      Sid: 'SignTheRecord',
      Action: ['kms:Sign'],
      Resource: [arn],
      Condition: { StringEquals: { 'kms:MessageType': 'RAW' } },
    },
  ]);
});

test.each([
  ['no account', whole.slice(2), /--account is missing/],
  ['nobody who comes in', account, /--usher is missing/],
  ['an account that is none', [...whole, '--account', '21'], /--account does not look like/],
  ['a mode that is none', [...whole, '--mode', 'all'], /--mode is session, attached/],
  ['a path that starts with a slash', [...whole, '--people-path', '/people/'], /--people-path does not look like/],
  ['a path with a wildcard', [...whole, '--people-path', '*/'], /--people-path does not look like/],
  ['a boundary that is no policy', [...whole, '--people-boundary', 'people'], /--people-boundary does not look/],
  [
    'an alias in place of a key',
    [...whole, '--record-key', 'arn:aws:kms:eu-central-1:1:alias/x'],
    /--record-key does not/,
  ],
  ['a format that is none', ['--format', 'yaml'], /--format is json, terraform or cloudformation/],
  ['a part that is none', ['--format', 'terraform', '--part', 'all'], /--part is account or usher/],
  ['a part of what has none', [...whole, '--part', 'usher'], /--part goes with --format/],
  ['values for a template', [...whole, '--format', 'terraform'], /is a variable/],
])('%s is refused', (_, args, says) => {
  const log = vi.spyOn(console, 'log');
  expect(() => command.run(args)).toThrow(UsageError);
  expect(() => command.run(args)).toThrow(says);
  expect(log).not.toHaveBeenCalled();
});
