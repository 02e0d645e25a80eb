import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startUsher, type Usher } from '../support/usher.ts';

let usher: Usher;
beforeAll(async () => {
  usher = await startUsher({ work: false });
});
afterAll(() => usher?.close());

describe('every answer', () => {
  test.each([
    ['an answer', '/health/live', 200],
    ['a refusal', '/v1/targets', 401],
    ['no route', '/nothing', 404],
    ['a page', '/docs', 200],
  ])('%s: may not be framed, sniffed, or load from elsewhere', async (_, path, status) => {
    const answer = await fetch(`${usher.url}${path}`);
    expect(answer.status).toBe(status);
    const policy = answer.headers.get('content-security-policy')?.split(';') ?? [];
    expect(policy).toEqual(
      expect.arrayContaining(["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"]),
    );
    expect(policy.filter((part) => /\*|https?:|unsafe-eval/.test(part))).toEqual([]);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'strict-transport-security': 'max-age=31536000',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
    });
    expect(answer.headers.get('x-correlation-id')).toMatch(/^[\w-]{8,64}$/);
    expect(answer.headers.get('x-powered-by')).toBeNull();
  });
});
