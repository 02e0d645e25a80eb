/** Wildcards and policy variables, as one token list per pattern, so that a variable's value can never act as a wildcard. */

/** Condition keys of one request. A list is a multi-valued key. */
export type Context = Readonly<Record<string, string | readonly string[]>>;

/** `undefined` from {@link expand}: the pattern names a variable that the request does not carry, so it matches nothing. */
export type Token = { readonly wildcard: '*' | '?' } | { readonly literal: string };

const variables = new Set(['aws:username', 'aws:principalarn', 'aws:userid', 'aws:sourceidentity']);

/** First value of a context key; keys are compared without case, as IAM does. */
export function contextValues(context: Context, key: string): readonly string[] | undefined {
  const wanted = key.toLowerCase();
  for (const [name, value] of Object.entries(context))
    if (name.toLowerCase() === wanted) return typeof value === 'string' ? [value] : value;
  return undefined;
}

function variableValue(name: string, context: Context): string | undefined {
  if (name === '*' || name === '?' || name === '$') return name;
  if (!variables.has(name.toLowerCase()) && !/^aws:PrincipalTag\/.+$/i.test(name)) return undefined;
  return contextValues(context, name)?.[0];
}

/** @param context undefined: variables are not expanded (policy version 2008-10-17) */
export function expand(pattern: string, context: Context | undefined): Token[] | undefined {
  const tokens: Token[] = [];
  const parts = context === undefined ? [pattern] : pattern.split(/(\$\{[^}]*\})/);
  for (const part of parts) {
    if (context !== undefined && part.startsWith('${') && part.endsWith('}')) {
      const value = variableValue(part.slice(2, -1), context);
      if (value === undefined) return undefined;
      tokens.push(...Array.from(value, (literal) => ({ literal })));
      continue;
    }
    for (const char of part) tokens.push(char === '*' || char === '?' ? { wildcard: char } : { literal: char });
  }
  return tokens;
}

/** Greedy with one step back: linear in practice, never exponential, whatever the pattern. */
export function matchTokens(tokens: readonly Token[], text: string): boolean {
  const chars = Array.from(text);
  let at = 0;
  let token = 0;
  let starToken = -1;
  let starAt = 0;
  while (at < chars.length) {
    const current = tokens[token];
    if (current !== undefined && 'wildcard' in current && current.wildcard === '*') {
      starToken = token++;
      starAt = at;
    } else if (current !== undefined && ('wildcard' in current || current.literal === chars[at])) {
      token++;
      at++;
    } else if (starToken >= 0) {
      token = starToken + 1;
      at = ++starAt;
    } else {
      return false;
    }
  }
  return tokens.slice(token).every((rest) => 'wildcard' in rest && rest.wildcard === '*');
}

export const matchPattern = (pattern: string, text: string, context: Context | undefined): boolean => {
  const tokens = expand(pattern, context);
  return tokens !== undefined && matchTokens(tokens, text);
};

/**
 * An ARN pattern: the first five parts are matched one by one, so a wildcard in them does not cross a colon; the resource
 * part may. `*` alone matches every ARN. Source: IAM User Guide, "Using wildcards in resource ARNs".
 */
export function matchArn(pattern: string, arn: string, context: Context | undefined): boolean {
  if (pattern === '*') return true;
  const tokens = expand(pattern, context);
  if (tokens === undefined) return false;
  const wanted = splitTokens(tokens);
  const actual = splitArn(arn);
  if (wanted === undefined || actual === undefined) return false;
  return wanted.every((part, index) => matchTokens(part, actual[index] ?? ''));
}

function splitTokens(tokens: readonly Token[]): Token[][] | undefined {
  const parts: Token[][] = [[]];
  for (const token of tokens) {
    if (parts.length < 6 && 'literal' in token && token.literal === ':') parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts.length === 6 ? parts : undefined;
}

function splitArn(arn: string): string[] | undefined {
  const parts = arn.split(':');
  return parts.length < 6 ? undefined : [...parts.slice(0, 5), parts.slice(5).join(':')];
}
