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
  let members = '';
  if (isList(value)) {
    for (const item of value) members += `${members && ','}${canonical(item)}`;
    return `[${members}]`;
  }
  // by UTF-16 code units, as it must be
  for (const name of Object.keys(value).sort())
    members += `${members && ','}${quoted(name)}:${canonical(value[name] as JsonValue)}`;
  return `{${members}}`;
}

const isList = (value: object): value is readonly JsonValue[] => Array.isArray(value);

/** What needs no escape: found out in half the time that escaping takes, and most texts of a record are such. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

function quoted(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  // JSON.stringify escapes it, where RFC 8785 (3.2.2.2) wants an error
  if (!text.isWellFormed()) throw new RangeError('JSON has no lone surrogates');
  return JSON.stringify(text);
}
