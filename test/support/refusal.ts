import { expect } from 'vitest';
import { auditLines, rowCounts } from './people.ts';
import type { Answer, Usher } from './usher.ts';

/** A refusal: in our own form, with advice, on record where it is one, and with nothing behind it. */
export async function refuses(
  usher: Usher,
  call: () => Promise<Answer>,
  status: number,
  code: string,
): Promise<Answer> {
  const before = await rowCounts(usher);
  const answer = await call();
  expect([answer.status, answer.body['code']], JSON.stringify(answer.body).slice(0, 500)).toEqual([status, code]);
  expect(answer.headers.get('content-type')).toContain('application/problem+json');
  expect(answer.body).toMatchObject({
    type: `urn:usher:problem:${code}`,
    status,
    detail: expect.any(String),
    advice: expect.any(String),
  });
  const lines = await auditLines(usher, String(answer.body['correlationId']));
  expect(lines.map(({ action, code: told }) => [action, told])).toEqual(
    status === 409 || status === 503 ? [['access.refused', code]] : [],
  );
  expect(await rowCounts(usher)).toEqual(before);
  return answer;
}
