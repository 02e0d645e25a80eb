import type { StepUp } from '../platform/errors.js';

/** A day at the most: beyond that it is the provider that ends sessions. */
const longestSeconds = 86_400;
const secondsForm = /^(0|[1-9]\d{0,4})$/;
/** Words of RFC 6749's characters, as they may stand in a header and in an address. */
const acrForm = /^[\x21\x23-\x5b\x5d-\x7e]{1,128}( [\x21\x23-\x5b\x5d-\x7e]{1,128}){0,9}$/;

/**
 * The sign-in that `@max_age("900")` and `@acr_values("urn:a urn:b")` of a forbid ask for, in the words of RFC 9470. They must
 * say what the condition of the forbid says: a client that does as it is told must be let in.
 * @param refuse called with what is wrong
 */
export function readStepUp(
  annotations: Readonly<Record<string, string | null>>,
  refuse: (what: string) => never,
): StepUp | undefined {
  const { max_age: maxAge, acr_values: acrValues } = annotations;
  if (maxAge === undefined && acrValues === undefined) return undefined;
  if (maxAge !== undefined && !(secondsForm.test(maxAge ?? '') && Number(maxAge) <= longestSeconds))
    refuse(`@max_age("n") is 0 to ${longestSeconds} seconds.`);
  if (acrValues !== undefined && !acrForm.test(acrValues ?? ''))
    refuse('@acr_values("…") is 1 to 10 words, separated by one space.');
  return {
    ...(maxAge !== undefined && { maxAgeSeconds: Number(maxAge) }),
    ...(acrValues !== undefined && { acrValues: (acrValues ?? '').split(' ') }),
  };
}

/** One sign-in that does for all: the shortest age, and the classes that each of them takes, else those that any does. */
export function joinStepUps(asked: readonly StepUp[]): StepUp {
  const ages = asked.flatMap(({ maxAgeSeconds }) => maxAgeSeconds ?? []);
  const lists = asked.flatMap(({ acrValues }) => (acrValues ? [acrValues] : []));
  const [first = []] = lists;
  const common = first.filter((acr) => lists.every((list) => list.includes(acr)));
  return {
    ...(ages.length > 0 && { maxAgeSeconds: Math.min(...ages) }),
    ...(lists.length > 0 && { acrValues: common.length > 0 ? common : [...new Set(lists.flat())] }),
  };
}
