/** Texts and the characters that give JSON its structure; all else is of no matter here. */
const lexemes = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g;

/**
 * Whether an object in this JSON has a name twice. `JSON.parse` takes the last and says nothing, others take the first: two
 * readers of one token would then see two people (RFC 7519 §4, RFC 8259 §4).
 * @param json that `JSON.parse` accepts
 */
export function repeatsName(json: string): boolean {
  /** Names of each object that is open; a list has none. */
  const open: (Set<string> | undefined)[] = [];
  let last = '';
  for (const [lexeme] of json.matchAll(lexemes)) {
    if (lexeme === '{') open.push(new Set());
    else if (lexeme === '[') open.push(undefined);
    else if (lexeme === '}' || lexeme === ']') open.pop();
    else if (lexeme === ':') {
      const name = JSON.parse(last) as string; // "\u0073ub" is sub
      if (open.at(-1)?.has(name)) return true;
      open.at(-1)?.add(name);
    }
    last = lexeme;
  }
  return false;
}
