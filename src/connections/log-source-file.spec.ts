import { describe, expect, test } from 'vitest';
import { logOf } from './log-source-file.js';

describe('a file is a log, or was it before rotation', () => {
  test.each([
    ['pg', 'pg'],
    ['pg.1', 'pg'],
    ['pg.10.csv', 'pg'],
    ['pg-20260301', 'pg'],
    ['pg.2026-03-01-10', 'pg'],
    ['pg-reader', 'pg-reader'],
    ['pg-reader.1', 'pg-reader'],
    ['pg-2', 'pg-2'],
    ['pg-2.1', 'pg-2'],
    ['pg-3', 'pg'],
    ['pg-other', undefined],
    ['pg.csv', undefined],
    ['pg2', undefined],
    ['old-pg.1', undefined],
  ])('%s: %s', (name, log) => {
    expect(logOf(name, ['pg', 'pg-reader', 'pg-2'])).toBe(log);
    expect(logOf(name, ['pg-2', 'pg-reader', 'pg'])).toBe(log);
  });
});
