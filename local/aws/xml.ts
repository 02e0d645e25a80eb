/** XML of the AWS query protocol: objects become elements in order, lists wrap each entry in the name their shape gives. */

export type XmlValue = string | number | boolean | Date | undefined | XmlList | XmlObject;
export interface XmlObject {
  readonly [element: string]: XmlValue;
}
export interface XmlList {
  /** Element name of each entry: `member` almost everywhere, the shape's own name in RDS. */
  readonly entry: string;
  readonly entries: readonly XmlValue[];
}

export const members = (entries: readonly XmlValue[], entry = 'member'): XmlList => ({ entry, entries });

export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

export const isList = (value: object): value is XmlList =>
  'entry' in value && typeof value.entry === 'string' && 'entries' in value && Array.isArray(value.entries);

/** An absent value is an absent element. */
export function toXml(name: string, value: XmlValue): string {
  if (value === undefined) return '';
  return `<${name}>${content(value)}</${name}>`;
}

function content(value: Exclude<XmlValue, undefined>): string {
  if (value instanceof Date) return value.toISOString().replace('.000Z', 'Z');
  if (typeof value !== 'object') return escapeXml(String(value));
  if (isList(value)) return value.entries.map((entry) => toXml(value.entry, entry)).join('');
  return Object.entries(value)
    .map(([name, child]) => toXml(name, child))
    .join('');
}
