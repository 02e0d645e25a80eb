/**
 * Condition operators over a supplied context. A key that the request does not carry makes a positive operator false and a
 * negated one true. Source: IAM User Guide, "IAM JSON policy elements: Condition operators".
 */
import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { contextValues, expand, matchArn, matchPattern } from './policy-pattern.ts';
import type { Context } from './policy-pattern.ts';

/** The value of the request against one value of the policy; `context` for the variables in the latter. */
type Comparison = (actual: string, wanted: string, context: Context | undefined) => boolean;

const literally = (compare: (actual: string, wanted: string) => boolean): Comparison => {
  return (actual, wanted, context) => {
    const tokens = expand(wanted, context);
    if (tokens === undefined) return false;
    return compare(actual, tokens.map((token) => ('wildcard' in token ? token.wildcard : token.literal)).join(''));
  };
};

/** ISO 8601 or seconds since the epoch, as policies may hold either. */
function moment(text: string): number {
  return /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text);
}

/** A date or number that cannot be read makes the comparison false: NaN compares so. */
const byDate = (compare: (actual: number, wanted: number) => boolean): Comparison =>
  literally((actual, wanted) => compare(moment(actual), moment(wanted)));
const byNumber = (compare: (actual: number, wanted: number) => boolean): Comparison =>
  literally((actual, wanted) => compare(Number(actual), Number(wanted)));

const equal = (a: number, b: number): boolean => a === b;
const less = (a: number, b: number): boolean => a < b;
const lessOrEqual = (a: number, b: number): boolean => a <= b;
const greater = (a: number, b: number): boolean => a > b;
const greaterOrEqual = (a: number, b: number): boolean => a >= b;

function inRange(address: string, range: string): boolean {
  const [network = '', bits] = range.split('/');
  const family = isIPv4(network) ? 'ipv4' : 'ipv6';
  if (family === 'ipv6' && !isIPv6(network)) return false;
  const list = new BlockList();
  list.addSubnet(network, bits === undefined ? (family === 'ipv4' ? 32 : 128) : Number(bits), family);
  return list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
}

const positive = new Map<string, Comparison>([
  ['StringEquals', literally((a, b) => a === b)],
  ['StringEqualsIgnoreCase', literally((a, b) => a.toLowerCase() === b.toLowerCase())],
  ['StringLike', (actual, wanted, context) => matchPattern(wanted, actual, context)],
  ['ArnEquals', (actual, wanted, context) => matchArn(wanted, actual, context)],
  ['ArnLike', (actual, wanted, context) => matchArn(wanted, actual, context)],
  ['DateEquals', byDate(equal)],
  ['DateLessThan', byDate(less)],
  ['DateLessThanEquals', byDate(lessOrEqual)],
  ['DateGreaterThan', byDate(greater)],
  ['DateGreaterThanEquals', byDate(greaterOrEqual)],
  ['NumericEquals', byNumber(equal)],
  ['NumericLessThan', byNumber(less)],
  ['NumericLessThanEquals', byNumber(lessOrEqual)],
  ['NumericGreaterThan', byNumber(greater)],
  ['NumericGreaterThanEquals', byNumber(greaterOrEqual)],
  ['IpAddress', literally(inRange)],
  ['Bool', literally((a, b) => a.toLowerCase() === b.toLowerCase())],
]);

const negated = new Map([
  ['StringNotEquals', 'StringEquals'],
  ['StringNotEqualsIgnoreCase', 'StringEqualsIgnoreCase'],
  ['StringNotLike', 'StringLike'],
  ['ArnNotEquals', 'ArnEquals'],
  ['ArnNotLike', 'ArnLike'],
  ['DateNotEquals', 'DateEquals'],
  ['NumericNotEquals', 'NumericEquals'],
  ['NotIpAddress', 'IpAddress'],
]);

interface Operator {
  readonly compare: Comparison;
  readonly negated: boolean;
  readonly ifExists: boolean;
  readonly set: 'all' | 'any' | undefined;
}

function operatorOf(name: string): Operator | undefined {
  const set = name.startsWith('ForAllValues:') ? 'all' : name.startsWith('ForAnyValue:') ? 'any' : undefined;
  const bare = set === undefined ? name : name.slice(name.indexOf(':') + 1);
  const ifExists = bare.endsWith('IfExists');
  const base = ifExists ? bare.slice(0, -'IfExists'.length) : bare;
  const compare = positive.get(negated.get(base) ?? base);
  return compare === undefined ? undefined : { compare, negated: negated.has(base), ifExists, set };
}

export const isConditionOperator = (name: string): boolean => name === 'Null' || operatorOf(name) !== undefined;

/**
 * @param variables the context for policy variables; undefined where the policy's version does not expand them
 * @returns whether one line of a Condition block holds
 */
export function conditionHolds(
  condition: { readonly operator: string; readonly key: string; readonly values: readonly string[] },
  context: Context,
  variables: Context | undefined,
): boolean {
  const actual = contextValues(context, condition.key);
  const absent = actual === undefined || actual.length === 0;
  if (condition.operator === 'Null') return condition.values.some((wanted) => (wanted === 'true') === absent);
  const operator = operatorOf(condition.operator);
  if (operator === undefined) throw new Error(`condition operator ${condition.operator} was let through by the parser`);
  if (absent) return operator.set === 'all' || operator.ifExists || (operator.negated && operator.set !== 'any');
  const matches = (value: string): boolean =>
    condition.values.some((wanted) => operator.compare(value, wanted, variables));
  const holds = (value: string): boolean => matches(value) !== operator.negated;
  if (operator.set === 'any') return actual.some(holds);
  // A negated operator must hold for every value, or one harmless value would hide another.
  return operator.set === 'all' || operator.negated ? actual.every(holds) : actual.some(holds);
}
