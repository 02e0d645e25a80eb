import { afterAll, beforeAll, expect, test } from 'vitest';
import { open, register, someone, type Registered } from '../support/people.ts';
import { startUsher, type Usher } from '../support/usher.ts';

let usher: Usher;
let target: Registered;

beforeAll(async () => {
  usher = await startUsher({ settings: { jobs: false }, env: { USHER_SESSION_TAGS: 'true' } });
  target = await register(usher, 'orders');
});
afterAll(() => usher?.close());

/** The tags of the session whose keys signed the last token, as CloudTrail would show them. */
const tags = (): Record<string, string> => {
  const parameters = usher.standIn.aws.trail.events('AssumeRole').at(-1)?.requestParameters ?? {};
  const at = (n: number, what: string): string => String(parameters[`Tags.member.${n}.${what}`]);
  const count = Object.keys(parameters).filter((name) => /^Tags\.member\.\d+\.Key$/.test(name)).length;
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [at(n + 1, 'Key'), at(n + 1, 'Value')]));
};

test.each([
  ['a ticket, as STS can take it', { ticket: 'CHG-7, part #2' }, { 'usher:ticket': 'CHG-7_ part _2' }],
  ['no ticket', {}, {}],
])('the session that signs says for which grant, request and person, and of %s', async (_, more, ticket) => {
  const who = someone(usher, ['engineers']);
  const { id, grantId } = await open(usher, who, target, more);
  const minted = await who.post(`/v1/grants/${grantId}/tokens`, {});
  expect(minted.status, JSON.stringify(minted.body)).toBe(201);
  expect(tags()).toEqual({
    'usher:grant': grantId,
    'usher:request': id,
    'usher:person': expect.stringMatching(/^person/) as string,
    ...ticket,
  });
});
