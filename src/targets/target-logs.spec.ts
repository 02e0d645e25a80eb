import { describe, expect, test } from 'vitest';
import { furtherLogProblems, logsAfter } from './target-logs.js';
import type { TargetRow } from './target.js';
import { LogSource } from './targets.contract.js';

const endpoints = [
  { kind: 'writer', connectHost: 'writer.example', port: 5432 },
  { kind: 'reader', connectHost: 'reader.example', port: 5432 },
  { kind: 'instance', connectHost: 'one.example', port: 5432 },
  { kind: 'custom', connectHost: 'custom.example', port: 5432 },
];
const log = (connectHost: string, place: string, port = 5432) => ({ connectHost, port, place });
const files = { logSource: 'file', logPlace: '/logs/writer', endpoints };

describe('further logs', () => {
  test.each([
    ['none', { endpoints }],
    ['of files', { ...files, furtherLogs: [log('reader.example', '/logs/a'), log('one.example', '/logs/b')] }],
    ['of files, places that begin alike', { ...files, furtherLogs: [log('reader.example', '/logs/writer-2')] }],
    [
      'of CloudWatch',
      { ...files, logSource: 'cloudwatch', logPlace: '/aws/rds/a', furtherLogs: [log('one.example', '/aws/rds/b')] },
    ],
    ['of RDS', { endpoints, logSource: 'rds', furtherLogs: [log('reader.example', 'orders-2')] }],
  ])('fit: %s', (_, target) => {
    expect(furtherLogProblems(target)).toEqual([]);
  });

  test.each([
    ['without a source', { endpoints, furtherLogs: [log('reader.example', '/logs/a')] }, 'logSource'],
    ['of the server that logPlace is of', { ...files, furtherLogs: [log('writer.example', '/logs/a')] }, 'no reader'],
    ['of what leads to many servers', { ...files, furtherLogs: [log('custom.example', '/logs/a')] }, 'no reader'],
    ['of no endpoint of the target', { ...files, furtherLogs: [log('other.example', '/logs/a')] }, 'no reader'],
    ['of another port', { ...files, furtherLogs: [log('reader.example', '/logs/a', 5433)] }, 'no reader'],
    ['in no absolute path', { ...files, furtherLogs: [log('reader.example', 'logs')] }, 'no place'],
    [
      'in no instance',
      { endpoints, logSource: 'rds', furtherLogs: [log('reader.example', '/logs')] },
      'no place of a log of the source rds',
    ],
    ['inside the place of the first', { ...files, furtherLogs: [log('reader.example', '/logs/writer/a')] }, 'apart'],
    ['around the place of the first', { ...files, furtherLogs: [log('reader.example', '/logs')] }, 'apart'],
    ['around it, with a slash', { ...files, furtherLogs: [log('reader.example', '/logs/')] }, 'apart'],
    ['in the place of the first', { ...files, furtherLogs: [log('reader.example', '/logs/writer')] }, 'twice'],
    [
      'of one server in two places',
      { ...files, furtherLogs: [log('reader.example', '/logs/a'), log('reader.example', '/logs/b')] },
      'twice',
    ],
  ])('do not fit: %s', (_, target, message) => {
    expect(furtherLogProblems(target)).toMatchObject([
      { field: 'furtherLogs', message: expect.stringContaining(message) as string },
    ]);
  });
});

describe('after an update', () => {
  const furtherLogs = [log('reader.example', '/logs/a')];
  // `logsAfter` reads nothing else of a row
  const before = { logSource: 'file', logPlace: '/logs/writer', furtherLogs } as unknown as TargetRow;

  test.each([
    ['all stay', {}, { logSource: 'file', logPlace: '/logs/writer', furtherLogs }],
    ['those given replace those there were', { furtherLogs: [] }, { logPlace: '/logs/writer', furtherLogs: [] }],
    ['another source has none of them', { logSource: LogSource.rds }, { logPlace: null, furtherLogs: [] }],
  ])('%s', (_, update, expected) => {
    expect(logsAfter(before, update)).toMatchObject(expected);
  });
});
