import { DomainError } from '../platform/errors.js';

/** Nothing in it is special to any language here. */
const PLAIN = /^[\w@%+:,./-]+$/;

/** One word of a POSIX shell (IEEE 1003.1, 2.2.2): nothing is special inside single quotes but their end. */
export const shellWord = (text: string): string => (PLAIN.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/** A string of PowerShell (about_Quoting_Rules), which takes the typographic quotes U+2018 to U+201B for its own. */
export const powerShellString = (text: string): string => `'${text.replace(/['\u2018-\u201b]/g, '$&$&')}'`;

/** `keyword=value` of a libpq connection string (libpq manual, 32.1.1.1). */
export const conninfo = (settings: Readonly<Record<string, string>>): string =>
  Object.entries(settings)
    .map(([keyword, value]) => `${keyword}=${conninfoValue(value)}`)
    .join(' ');

const conninfoValue = (value: string): string => (PLAIN.test(value) ? value : `'${value.replace(/['\\]/g, '\\$&')}'`);

/** `Keyword=value;…` of ADO.NET (DbConnectionStringBuilder): a value in double quotes holds anything, its own quotes doubled. */
export const adoNet = (settings: Readonly<Record<string, string>>): string =>
  Object.entries(settings)
    .map(([keyword, value]) => `${keyword}=${PLAIN.test(value) ? value : `"${value.replaceAll('"', '""')}"`}`)
    .join(';');

/** A string literal of JavaScript, Python or Go; all read what JSON writes. U+2028/9 end a line in old JavaScript. */
export const scriptString = (text: string): string =>
  JSON.stringify(text).replace(/[\u2028\u2029]/g, (separator) => (separator === '\u2028' ? '\\u2028' : '\\u2029'));

/** A string literal of Java or C#, with all but ASCII escaped: the source may be compiled in any encoding. */
export const javaString = (text: string): string =>
  JSON.stringify(text).replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** A part of a URL; encodeURIComponent leaves `'()*!` as they are, which shells and pgjdbc need not meet. */
export const urlPart = (text: string): string =>
  encodeURIComponent(text).replace(
    /['()*!]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );

/**
 * Lines, other control characters and characters that change the reading direction have no place in a recipe: they hide what a
 * person is about to run.
 * @throws DomainError invalid/`invalid_input`
 */
export const refuseUnprintable = (what: string, text: string): void => {
  if (text === '' || !text.isWellFormed() || /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/u.test(text)) {
    throw new DomainError(
      'invalid',
      'invalid_input',
      `The ${what} is empty or has characters that no recipe can hold.`,
    );
  }
};
