/** What every one of the six services shares: a call, its parameters, its refusal. */
import type { Credential } from './credentials.ts';
import type { XmlObject } from './xml.ts';

/** A refusal in the words of the AWS API it stands for. */
export class ApiError extends Error {
  readonly code: string;
  readonly status: number;
  constructor(code: string, message: string, status = 400) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

export const validationError = (message: string): ApiError =>
  new ApiError('ValidationError', `1 validation error detected: ${message}`);

/** Parameters of the query protocol: `Tags.member.1.Key=…` and their like. */
export class Parameters {
  readonly #values: ReadonlyMap<string, string>;

  constructor(values: Iterable<readonly [string, string]>) {
    this.#values = new Map(values);
  }

  optional(name: string): string | undefined {
    return this.#values.get(name);
  }

  required(name: string): string {
    const value = this.#values.get(name);
    if (value !== undefined) return value;
    const field = name.charAt(0).toLowerCase() + name.slice(1);
    throw validationError(`Value null at '${field}' failed to satisfy constraint: Member must not be null`);
  }

  /** @throws ApiError when it is there and not a whole number */
  integer(name: string): number | undefined {
    const text = this.#values.get(name);
    if (text === undefined) return undefined;
    if (!/^-?\d{1,9}$/.test(text)) throw new ApiError('MalformedInput', `${name} is not a number`);
    return Number(text);
  }

  /** The entries `{prefix}.1`, `{prefix}.2`, … */
  list(prefix: string): string[] {
    const found: string[] = [];
    for (let at = 1; ; at++) {
      const value = this.#values.get(`${prefix}.${at}`);
      if (value === undefined) return found;
      found.push(value);
    }
  }

  /** The entries `{prefix}.1.{…}` as parameters of their own. */
  structures(prefix: string): Parameters[] {
    const found: Parameters[] = [];
    for (let at = 1; ; at++) {
      const start = `${prefix}.${at}.`;
      const inside = [...this.#values].filter(([name]) => name.startsWith(start));
      if (inside.length === 0) return found;
      found.push(new Parameters(inside.map(([name, value]) => [name.slice(start.length), value] as const)));
    }
  }

  /** `Tags.member.N.Key` and `.Value` (RDS: `Tags.Tag.N…`). */
  tags(prefix = 'Tags.member'): Record<string, string> {
    return Object.fromEntries(
      this.structures(prefix).map((tag) => [tag.required('Key'), tag.optional('Value') ?? ''] as const),
    );
  }

  entries(): [string, string][] {
    return [...this.#values];
  }
}

/** One authenticated call. */
export interface Call {
  readonly action: string;
  readonly parameters: Parameters;
  readonly credential: Credential;
  readonly region: string;
  readonly now: Date;
  /**
   * Evaluates the caller's own permissions.
   * @param context condition keys of this action, beside those of the principal
   * @throws ApiError AccessDenied
   */
  require: (action: string, resource: string, context?: Readonly<Record<string, string | readonly string[]>>) => void;
}

/** @returns the content of `{Action}Result`; undefined for calls that answer with metadata alone */
export type Handler = (call: Call) => XmlObject | undefined;
export type Handlers = Readonly<Record<string, Handler>>;
