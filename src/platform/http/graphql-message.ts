/**
 * What GraphQL says of a document that cannot be used, without the values that stand in it or in its variables: each may be a
 * token. What is said of types, fields and arguments stays, and where a text could be read no further.
 */
export function withoutValues(message: string): string {
  return ofVariable(message) ?? ofLiteral(message) ?? ofSyntax(message) ?? message;
}

/** The whole value is in such a message, however deep the fault is in it. */
function ofVariable(message: string): string | undefined {
  const variable = /^Variable "\$(\w{1,80})" got invalid value /.exec(message)?.[1];
  if (variable === undefined) return undefined;
  const field = /; (Field "\w{1,80}" (?:is not defined by type|of required type) [\w"![\] ]{1,120}\.)[^;]*$/.exec(
    message,
  )?.[1];
  return `Variable "$${variable}" got a value that does not fit its type${field === undefined ? '.' : `; ${field}`}`;
}

/** A value that is written into the document itself. */
function ofLiteral(message: string): string | undefined {
  const wanted = /^Expected value of type "[\w![\]]{1,120}"(?=, found )/.exec(message)?.[0];
  const scalar = /^(?:Enum "\w{1,80}"|\w{1,80}) cannot represent [\w -]{1,80}(?=: )/.exec(message)?.[0];
  const known = /^Value "[\s\S]*" does not exist in ("\w{1,80}" enum)/.exec(message)?.[1];
  if (known !== undefined) return `A value does not exist in ${known}.`;
  const said = wanted ?? scalar;
  return said === undefined ? undefined : `${said}.`;
}

/** Up to the text that was found instead; signs of the language itself are told. */
function ofSyntax(message: string): string | undefined {
  const said = /^Syntax Error: (?:[\w $]|"[^"\w]{1,3}"|<EOF>){1,80}/.exec(message)?.[0].trim();
  return said === undefined ? undefined : `${said}.`;
}
