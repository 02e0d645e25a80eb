/** `npm run bench -- connections --part lines`: what it costs to see who connected. */
import { parseArgs } from 'node:util';
import { measureLines } from './connections-lines.ts';

const help = `npm run bench -- connections --part lines [--lines 200000] [--rounds 5]

lines   reads a PostgreSQL log of so many lines in each of its formats, and in turns with it its floor: the same bytes split
        into lines. One thread, warm; lines a second, the median of the rounds.`;

const option = (text: string) => ({ type: 'string', default: text }) as const;
const { values } = parseArgs({
  options: {
    ...{ part: option('lines'), lines: option('200000'), rounds: option('5') },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const whole = (name: 'lines' | 'rounds'): number => {
  const number = Number(values[name]);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} must be a whole number above 0`);
  return number;
};

const parts: Readonly<Record<string, () => Promise<void>>> = {
  lines: () => measureLines(whole('lines'), whole('rounds')),
};

const part = parts[values.part];
if (values.help) console.log(help);
else if (part) await part();
else throw new Error(`--part is one of ${Object.keys(parts).join(', ')}`);
