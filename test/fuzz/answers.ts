import { errorCodes } from '../../src/platform/errors.js';

/** An answer as it came. */
export interface Answered {
  status: number;
  type: string;
  text: string;
}

const known = new Set<string>(errorCodes);
/** Somebody else's fault, told as such: a target that a call had made up, or AWS for it. Ours, `internal` and the state's, never. */
const upstream = /^(?:target|aws)_/;

/** What only the inside of the service knows. Texts that are sent on purpose have none of these forms. */
const inside: Readonly<Record<string, RegExp>> = {
  'a stack': /\bat (?:async )?[\w.<>[\] ]*\(?(?:file:|node:|\/[\w./-]+:\d+)/,
  'a file': /node_modules|\/(?:dist|src|platform)\/[\w-]+|\.(?:js|ts|mjs):\d+/,
  SQL: /\b(?:SELECT (?!usher\.)[\w*]+|INSERT INTO|UPDATE "?\w+"? SET|FROM "public")\b|violates|syntax error at or near/,
  'the ORM or a driver':
    /prisma|P2\d{3}\b|pg-boss|SQLSTATE|ECONNREFUSED|TypeError|ReferenceError|RangeError|is not a function|of undefined/i,
};

/** What is wrong with an answer, in words; nothing when it is as every answer must be. */
export function faultsOf({ status, type, text }: Answered, of: { graphql: boolean; method: string }): string[] {
  if (of.method === 'HEAD') return status >= 500 ? [`status ${status}`] : [];
  if (of.graphql) return graphqlFaults(text);
  if (status < 400) return [];
  if (!type.includes('application/problem+json')) return [`${status} as ${type || 'nothing'}`];
  return problemFaults(parse(text), status, text);
}

function graphqlFaults(text: string): string[] {
  const body = parse(text) as { errors?: { extensions?: object }[] } | undefined;
  if (body === undefined) return ['no JSON'];
  if ('code' in body) return problemFaults(body, undefined, text); // refused before it was read as GraphQL
  return (body.errors ?? []).flatMap((error) => problemFaults(error.extensions, undefined, JSON.stringify(error)));
}

function problemFaults(problem: unknown, status: number | undefined, text: string): string[] {
  const { code, status: told, correlationId } = (problem ?? {}) as Record<string, unknown>;
  const faults = Object.entries(inside).flatMap(([what, form]) => (form.test(text) ? [`holds ${what}`] : []));
  if (typeof code !== 'string' || !known.has(code)) faults.push(`code ${String(code)}`);
  if (typeof correlationId !== 'string') faults.push('no correlation id');
  if (status !== undefined && told !== status) faults.push(`says ${String(told)} and is ${status}`);
  if (typeof told === 'number' && told >= 500 && !(told === 503 && upstream.test(String(code))))
    faults.push(`${told} ${String(code)}`);
  return faults;
}

function parse(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
