/** How IAM pages and how it writes documents. */
import { ApiError } from './api.ts';
import type { Call } from './api.ts';
import { page } from './paging.ts';
import { encodeRfc3986 } from './signature-v4.ts';
import { members } from './xml.ts';
import type { XmlObject, XmlValue } from './xml.ts';

/** IAM returns documents URL-encoded (RFC 3986). */
export const urlEncoded = (document: string): string => encodeRfc3986(document);

/** `MaxItems` 1 to 1,000, default 100. */
export function iamPage(call: Call, element: string, entries: readonly XmlValue[]): XmlObject {
  const size = call.parameters.integer('MaxItems') ?? 100;
  if (size < 1 || size > 1000) throw new ApiError('ValidationError', 'MaxItems must be between 1 and 1000.');
  const { entries: shown, marker } = page(entries, size, call.parameters.optional('Marker'));
  return { IsTruncated: marker !== undefined, Marker: marker, [element]: members(shown) };
}
