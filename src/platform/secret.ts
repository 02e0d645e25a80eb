import { inspect } from 'node:util';

/** What stands in place of a secret wherever it is printed. */
export const HIDDEN = '[secret]';

/** A value that prints as `[secret]` everywhere (JSON, inspect, string, log); only `reveal()` gives it. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  [inspect.custom](): string {
    return HIDDEN;
  }
}
