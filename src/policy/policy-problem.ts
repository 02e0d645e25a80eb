/** One thing that is wrong with a text, and where, as far as Cedar says. */
export interface PolicyProblem {
  readonly message: string;
  /** `@id` of the policy. */
  readonly policy?: string;
  /** From 1. */
  readonly line?: number;
  /** In characters, from 1. */
  readonly column?: number;
}

/** The policy or its schema cannot be used. The message names the file, the policy and what is wrong with it. */
export class PolicyFileError extends Error {
  override readonly name = 'PolicyFileError';

  constructor(
    file: string,
    readonly problems: readonly PolicyProblem[],
    options?: ErrorOptions,
  ) {
    super(problems.map((problem) => `${file}${placed(problem)}`).join('\n'), options);
  }
}

const placed = ({ policy, line, message }: PolicyProblem): string =>
  `${line === undefined ? '' : `:${line}`}: ${policy === undefined ? '' : `policy "${policy}": `}${message}`;

/** What is wrong, before anybody says with which file. */
export class Unusable extends Error {
  readonly problems: readonly PolicyProblem[];

  constructor(problems: string | readonly PolicyProblem[], policy?: string) {
    super('the policy cannot be used');
    this.problems =
      typeof problems === 'string' ? [{ message: problems, ...(policy !== undefined && { policy }) }] : problems;
  }
}

/** Line and column of what stands at an index of the text. */
export function placeIn(text: string, index: number): { line: number; column: number } {
  const before = text.slice(0, index).split('\n');
  return { line: before.length, column: [...(before.at(-1) ?? '')].length + 1 };
}
