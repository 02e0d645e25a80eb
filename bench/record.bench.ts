/** `npm run bench -- record`: what a page of a large record costs, and how fast the record leaves, each beside its floor. */
import { parseArgs } from 'node:util';
import { measureExport } from './audit-export.ts';
import { measureSearch } from './audit-search.ts';

const help = `npm run bench -- record [--part search|export] [--events 300000] [--pages 1000]

Makes a record of a year, 2,000 people, 500 targets, forty lines a grant, on a durable PostgreSQL; ten million events take half an
hour. Reads pages of it by person, target and grant, in turns with the same lines by statements written for them; exports all of it
in each form, beside reading it alone.`;

const option = (text: string) => ({ type: 'string', default: text }) as const;
const { values } = parseArgs({
  options: {
    ...{ part: { type: 'string' }, events: option('300000'), pages: option('1000') },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const whole = (name: 'events' | 'pages'): number => {
  const number = Number(values[name]);
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} must be a whole number above 0`);
  return number;
};

const parts: Record<string, () => Promise<void>> = {
  search: () => measureSearch(whole('events'), whole('pages')),
  export: () => measureExport(whole('events')),
};

if (values.help) console.log(help);
else {
  const wanted = values.part === undefined ? Object.keys(parts) : [values.part];
  for (const name of wanted) {
    const measure = Object.hasOwn(parts, name) ? parts[name] : undefined;
    if (!measure) throw new Error(`--part is one of ${Object.keys(parts).join(', ')}`);
    await measure();
  }
}
