/** The two protocols on the wire: AWS query (form in, XML out) and AWS JSON 1.1. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { ApiError, Parameters } from './api.ts';
import { isList, toXml } from './xml.ts';
import type { XmlObject } from './xml.ts';

export type Protocol = 'query' | 'json';

export interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const namespaces = new Map([
  ['sts', 'https://sts.amazonaws.com/doc/2011-06-15/'],
  ['iam', 'https://iam.amazonaws.com/doc/2010-05-08/'],
  ['rds', 'http://rds.amazonaws.com/doc/2014-10-31/'],
]);

const maxBodyBytes = 1_048_576;

export const protocolOf = (request: IncomingMessage): Protocol =>
  request.headers['x-amz-target'] === undefined ? 'query' : 'json';

/** @throws ApiError RequestEntityTooLarge */
export async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > maxBodyBytes) throw new ApiError('RequestEntityTooLarge', 'The request is too large.', 413);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

/** @throws ApiError when no action is named or the body cannot be read */
export function readCall(
  request: IncomingMessage,
  body: Uint8Array,
  protocol: Protocol,
): { action: string; parameters: Parameters } {
  const text = Buffer.from(body).toString('utf8');
  if (protocol === 'json') {
    const target = String(request.headers['x-amz-target']);
    return { action: target.slice(target.lastIndexOf('.') + 1), parameters: new Parameters(jsonFields(text)) };
  }
  const url = new URL(request.url ?? '/', 'http://localhost');
  if (url.pathname !== '/') throw new ApiError('UnknownOperationException', 'There is nothing at this path.', 404);
  const parameters = new Parameters([...url.searchParams, ...new URLSearchParams(text)]);
  const action = parameters.optional('Action');
  if (action === undefined) throw new ApiError('MissingAction', 'The request must contain the parameter Action.');
  return { action, parameters };
}

/** Only flat fields: all that the JSON calls here have. */
function jsonFields(text: string): [string, string][] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (typeof value !== 'object' || value === null)
    throw new ApiError('SerializationException', 'The request body is not a JSON object.');
  return Object.entries(value).flatMap(([key, field]): [string, string][] =>
    ['string', 'number', 'boolean'].includes(typeof field) ? [[key, String(field)]] : [],
  );
}

export function successReply(
  protocol: Protocol,
  service: string,
  action: string,
  result: XmlObject | undefined,
): Reply {
  if (protocol === 'json')
    return { status: 200, type: 'application/x-amz-json-1.1', body: JSON.stringify(result ?? {}, jsonShape) };
  const inner = result === undefined ? '' : toXml(`${action}Result`, result);
  const metadata = toXml('ResponseMetadata', { RequestId: randomUUID() });
  const namespace = namespaces.get(service) ?? '';
  const body = `<${action}Response xmlns="${namespace}">${inner}${metadata}</${action}Response>`;
  return { status: 200, type: 'text/xml', body };
}

/** JSON 1.1 writes times as seconds since the epoch (`JSON.stringify` has already made text of a Date), and lists as arrays. */
function jsonShape(this: Record<string, unknown>, key: string, value: unknown): unknown {
  const original = this[key];
  if (original instanceof Date) return original.getTime() / 1000;
  return typeof value === 'object' && value !== null && isList(value) ? value.entries : value;
}

/** JSON services name the same refusals differently. */
const jsonCodes = new Map([
  ['AccessDenied', 'AccessDeniedException'],
  ['ExpiredToken', 'ExpiredTokenException'],
  ['InvalidClientTokenId', 'UnrecognizedClientException'],
  ['MissingAuthenticationToken', 'MissingAuthenticationTokenException'],
  ['SignatureDoesNotMatch', 'InvalidSignatureException'],
  ['Throttling', 'ThrottlingException'],
]);

export function errorReply(protocol: Protocol, error: ApiError): Reply {
  if (protocol === 'json')
    return {
      status: error.status,
      type: 'application/x-amz-json-1.1',
      body: JSON.stringify({ __type: jsonCodes.get(error.code) ?? error.code, message: error.message }),
    };
  const type = error.status >= 500 ? 'Receiver' : 'Sender';
  const inner = toXml('Error', { Type: type, Code: error.code, Message: error.message });
  const body = `<ErrorResponse>${inner}${toXml('RequestId', randomUUID())}</ErrorResponse>`;
  return { status: error.status, type: 'text/xml', body };
}
