/** What a statement's text says without running it. */
export interface SqlText {
  /**
   * By bound index from 0: a parameter's name with its sigil, `?3` for a number, null for a plain
   * `?`.
   */
  readonly parameters: readonly (string | null)[];
  /** Whether another statement follows the first. */
  readonly hasTail: boolean;
}

/**
 * The tokens that matter, after everything a parameter could hide in. A doubled quote reads as two
 * quoted pieces, which is as good; SQLite allows `$` inside a name.
 */
const tokens = new RegExp(
  [
    /'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]/,
    /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/,
    /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/,
    /\?\d*|[:@$][\w$\u0080-\uffff]+/,
    /\d[\w.]*|;|[^\s;]/,
  ]
    .map((pattern) => pattern.source)
    .join("|"),
  "g",
);

/** SQLite's own default limit on a `?NNN` (sqlite.org/limits.html, number 9). */
const parametersMax = 32_766;

/**
 * Numbers the parameters as sqlite3_bind_parameter_index does (sqlite.org/lang_expr.html, section
 * 4).
 */
export function readSql(sql: string): SqlText {
  const parameters: (string | null)[] = [];
  const hasBody = /^\s*create\s+(temp\s+|temporary\s+)?trigger\b/i.test(sql);
  let ended = false;
  let hasTail = false;
  for (const [token] of sql.matchAll(tokens)) {
    if (token.startsWith("--") || token.startsWith("/*")) continue;
    if (token === ";") ended = true;
    else if (ended && !hasBody) hasTail = true;
    if (hasTail) break;
    addParameter(parameters, token);
  }
  return { parameters, hasTail };
}

function addParameter(parameters: (string | null)[], token: string): void {
  if (token === "?") parameters.push(null);
  else if (token.startsWith("?")) {
    const count = Math.min(Number(token.slice(1)), parametersMax);
    while (parameters.length < count) parameters.push(null);
    if (count > 0) parameters[count - 1] ??= token;
  } else if (/^[:@$]./.test(token) && !parameters.includes(token)) parameters.push(token);
}
