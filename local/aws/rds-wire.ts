/** What the calls of RDS share: pages, filters, and how a resource may be named. */
import { ApiError } from './api.ts';
import type { Call, Parameters } from './api.ts';
import { page } from './paging.ts';
import type { RdsStore } from './rds-store.ts';
import { members } from './xml.ts';
import type { XmlObject, XmlValue } from './xml.ts';

/** `MaxRecords` 20 to 100, default 100. */
export function rdsPage<T>(
  call: Call,
  element: string,
  entry: string,
  all: readonly T[],
  shape: (one: T) => XmlObject,
): XmlObject {
  const size = call.parameters.integer('MaxRecords') ?? 100;
  if (size < 20 || size > 100)
    throw new ApiError('InvalidParameterValue', `Invalid value ${size} for MaxRecords. Must be between 20 and 100`);
  const { entries, marker } = page(all, size, call.parameters.optional('Marker'));
  return { Marker: marker, [element]: members(entries.map(shape), entry) };
}

export const textOf = (value: XmlValue): string => (typeof value === 'string' ? value : '');

/**
 * @param known filter names with what they compare; identifiers and ARNs are both accepted where AWS accepts both
 * @throws ApiError InvalidParameterValue for a filter that the call does not know
 */
export function filtered<T>(
  parameters: Parameters,
  all: readonly T[],
  known: Readonly<Record<string, (one: T) => readonly (string | undefined)[]>>,
): T[] {
  const filters = parameters.structures('Filters.Filter').map((filter) => {
    const name = filter.required('Name');
    const read = Object.hasOwn(known, name) ? known[name] : undefined;
    if (read === undefined) throw new ApiError('InvalidParameterValue', `Unrecognized filter name: ${name}`);
    return { read, values: filter.list('Values.Value') };
  });
  return all.filter((one) =>
    filters.every(({ read, values }) => read(one).some((value) => value !== undefined && values.includes(value))),
  );
}

/** AWS compares identifiers without case and takes an ARN as well. */
export const named = (wanted: string | undefined, identifier: string, arn: string): boolean =>
  wanted === undefined || wanted.toLowerCase() === identifier.toLowerCase() || wanted === arn;

export function here<T extends { readonly region: string }>(all: readonly T[], call: Call): T[] {
  return all.filter((one) => one.region === call.region);
}

/** The resource to ask permission for: the one named, or all of its type. */
export const arnOf = (rds: RdsStore, call: Call, type: string, wanted: string | undefined): string =>
  wanted?.startsWith('arn:') === true ? wanted : rds.arn(call.region, type, wanted ?? '*');
