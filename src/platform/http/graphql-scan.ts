import { Lexer, Source, TokenKind } from 'graphql';
import { DomainError } from '../errors.js';

/** Words and signs of a document. The introspection of GraphiQL has some 200; every field there is of a target some 500. Parsed, each takes half a kilobyte. */
const TOKEN_LIMIT = 2_000;
/** Brackets within brackets, of any kind: the parser calls itself for each, and would run out of stack in a small document. */
const NESTING_LIMIT = 64;
/** `@include` and `@skip` on single fields; thousands of them on one are only work. */
const DIRECTIVE_LIMIT = 100;

const opening = new Set<TokenKind>([TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L]);
const closing = new Set<TokenKind>([TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R]);

/**
 * Looks over a document before it is parsed, in one pass that ends at the first limit.
 * @throws DomainError `invalid_input`. What is no GraphQL at all passes: the parser says what is wrong with it
 */
export function refuseCrowded(document: string): void {
  if (isJson(document)) throw notText();
  const lexer = new Lexer(new Source(document));
  let [tokens, depth, directives] = [0, 0, 0];
  for (let { kind } = next(lexer); kind !== TokenKind.EOF; { kind } = next(lexer)) {
    tokens += 1;
    if (kind === TokenKind.AT) directives += 1;
    if (opening.has(kind)) depth += 1;
    else if (closing.has(kind)) depth -= 1;
    if (tokens > TOKEN_LIMIT) throw crowded(`more than ${TOKEN_LIMIT} words and signs`);
    if (depth > NESTING_LIMIT) throw crowded(`brackets nested more than ${NESTING_LIMIT} deep`);
    if (directives > DIRECTIVE_LIMIT) throw crowded(`more than ${DIRECTIVE_LIMIT} directives`);
  }
}

/** Mercurius takes what is JSON for a document that was parsed elsewhere, and believes it; no GraphQL is JSON as well. */
function isJson(document: string): boolean {
  try {
    JSON.parse(document);
    return true;
  } catch {
    return false;
  }
}

const notText = (): DomainError =>
  new DomainError(
    'invalid',
    'invalid_input',
    'The document is JSON.',
    'Send it as GraphQL is written: { targets { items { id } } }',
  );

/** What cannot be read ends the look as the end of the document does. */
function next(lexer: Lexer): { kind: TokenKind } {
  try {
    return lexer.advance();
  } catch {
    return { kind: TokenKind.EOF };
  }
}

const crowded = (what: string): DomainError =>
  new DomainError(
    'invalid',
    'invalid_input',
    `The document has ${what}.`,
    'Ask for less at once, in several documents.',
  );
