/** `npm run bench -- policy`: what decisions and lists of them cost, beside what they could not cost less in the same run. */
import { parseArgs } from 'node:util';
import { measureDecisions } from './policy-decisions.ts';
import { measureOptions } from './policy-options.ts';

const help = `npm run bench -- policy [--policies 200] [--decisions 4000] [--rounds 4] [--only decisions|options]

Asks the policy that is shipped, filled up to so many policies, about the minting of a token and about a request, and in turns
with it its floor: the same questions to a set that has nothing to say about them. Then asks the service what somebody may have of
five hundred targets, for the first time and again. One thread, warm, milliseconds: by the clock, and what was worked on average,
which no other process on the machine makes longer.`;

const option = (text: string) => ({ type: 'string', default: text }) as const;
const { values } = parseArgs({
  options: {
    ...{ policies: option('200'), decisions: option('4000'), rounds: option('4'), only: option('') },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const whole = (name: 'policies' | 'decisions' | 'rounds'): number => {
  const number = Number(values[name]);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} must be a whole number above 0`);
  return number;
};

async function main(): Promise<void> {
  if (values.help) {
    console.log(help);
    return;
  }
  const policies = whole('policies');
  if (values.only !== 'options') measureDecisions(policies, whole('decisions'), whole('rounds'));
  if (values.only !== 'decisions') await measureOptions(policies);
}

await main();
