/** Printable text in one line, with something to read in it; no control characters, for PostgreSQL takes no NUL. */
export const LINE = /^(?=.*\S)[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+$/u;

/** The same in one or more lines. */
export const READABLE = /^(?=[\s\S]*\S)[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*(\r?\n[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*)*$/u;
