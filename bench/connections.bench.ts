/** `npm run bench -- connections`: what it costs to see who connected, each part beside what it cannot cost less than. */
import { parseArgs } from 'node:util';
import { measureLines } from './connections-lines.ts';
import { measureSampling } from './connections-sample.ts';

const help = `npm run bench -- connections --part lines [--lines 200000] [--rounds 5]
npm run bench -- connections --part sample [--targets 200] [--sessions 100] [--interval 5] [--seconds 30]

lines   reads a PostgreSQL log of so many lines in each of its formats, and in turns with it its floor: the same bytes split
        into lines. One thread, warm; lines a second, the median of the rounds.
sample  looks at so many targets with so many sessions each, every interval, after all were entered and looked at once more.
        One PostgreSQL with real sessions is registered under many names: each has a connection of its own, and rows of its own in
        the state. The floor is the bare query on one kept connection. Fails when an endpoint was not looked at within an interval,
        as it may also on a machine that has other things to do.`;

const option = (text: string) => ({ type: 'string', default: text }) as const;
const { values } = parseArgs({
  options: {
    ...{ part: option('lines'), lines: option('200000'), rounds: option('5') },
    ...{ targets: option('200'), sessions: option('100'), interval: option('5'), seconds: option('30') },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const whole = (name: 'lines' | 'rounds' | 'targets' | 'sessions' | 'interval' | 'seconds'): number => {
  const number = Number(values[name]);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} must be a whole number above 0`);
  return number;
};

const parts: Readonly<Record<string, () => Promise<void>>> = {
  lines: () => measureLines(whole('lines'), whole('rounds')),
  sample: () => {
    const size = { targets: whole('targets'), sessions: whole('sessions'), intervalSeconds: whole('interval') };
    return measureSampling(size, whole('seconds'));
  },
};

const part = parts[values.part];
if (values.help) console.log(help);
else if (part) await part();
else throw new Error(`--part is one of ${Object.keys(parts).join(', ')}`);
