/** What JSON can say. */
export type JsonValue =
  null | boolean | number | string | readonly JsonValue[] | { readonly [name: string]: JsonValue };

/**
 * The one text that a JSON value has by RFC 8785 (JSON Canonicalization Scheme): members sorted by UTF-16 code units, numbers and
 * strings as ECMAScript writes them, no space.
 * @throws RangeError for a number or a text that JSON cannot say
 */
export function canonical(value: JsonValue): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'number' && !Number.isFinite(value)) throw new RangeError(`JSON has no ${value}`);
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isList(value)) return `[${value.map(canonical).join(',')}]`;
  const members = Object.keys(value)
    .sort() // by UTF-16 code units, as it must be
    .map((name) => `${quoted(name)}:${canonical(value[name] as JsonValue)}`);
  return `{${members.join(',')}}`;
}

const isList = (value: object): value is readonly JsonValue[] => Array.isArray(value);

function quoted(text: string): string {
  // JSON.stringify escapes it, where RFC 8785 (3.2.2.2) wants an error
  if (!text.isWellFormed()) throw new RangeError('JSON has no lone surrogates');
  return JSON.stringify(text);
}
