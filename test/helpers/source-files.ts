import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";

/** One TypeScript file of the repository, as the rules of the house see it. */
export interface SourceFile {
  /** From the root, with slashes. */
  readonly path: string;
  readonly text: string;
  /** The text with every comment gone and every string empty: what is left is code. */
  readonly code: string;
  readonly imports: readonly SourceImport[];
  /** The names of the values it exports where it declares them. */
  readonly exports: readonly string[];
}

export interface SourceImport {
  readonly specifier: string;
  /** The file a relative import names, from the root; null for a package. */
  readonly path: string | null;
  /** `import type`, or nothing but inline types: it is gone at run time. */
  readonly typeOnly: boolean;
  /** What is taken of it, as it is called there. */
  readonly names: readonly string[];
}

export const repositoryRoot = fileURLToPath(new URL("../../", import.meta.url));

export function readRepositoryFile(path: string): string {
  return readFileSync(posix.join(repositoryRoot, path), "utf8");
}

/** Every TypeScript file that git knows. */
export function sourceFiles(): SourceFile[] {
  const listed = ["ls-files", "--", "*.ts"];
  const paths = execFileSync("git", listed, { cwd: repositoryRoot, encoding: "utf8" }).split("\n");
  return [...new Set(paths)].filter((path) => path !== "").flatMap((path) => readSource(path));
}

function readSource(path: string): SourceFile[] {
  try {
    const text = readRepositoryFile(path);
    const code = codeOf(text);
    const exports = [...code.matchAll(exported)].map(([, name = ""]) => name);
    return [{ path, text, code, imports: importsOf(path, text), exports }];
  } catch (error) {
    // Listed by git and deleted since: it is on its way out.
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

const commentOrText =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g;

/** Templates keep what is inside their braces only where they hold no text of their own. */
function codeOf(text: string): string {
  return text.replace(commentOrText, (found) => {
    if (found.startsWith("/")) return "";
    if (!found.startsWith("`")) return '""';
    return [...found.matchAll(/\$\{([^}]*)\}/g)].map((match) => ` ${match[1] ?? ""} `).join("");
  });
}

const importClause = String.raw`((?:type\s+)?(?:[\w*$\s{},]|"[^"]*"(?=\s+as))*?)`;
const statement = new RegExp(
  String.raw`^\s*(?:import|export)\s+${importClause}\s*(?:from\s*)?"([^"\n]+)";`,
  "gm",
);
const dynamicImport = /(?:\{([^{}]*)\} = await )?\bimport\(\s*"([^"]+)"\s*\)(?:\)\.(\w+))?/g;
const exported = /^export (?:async )?(?:function\*?|const|class) (\w+)/gm;
const urlReference = /new URL\(\s*"(\.[^"]+\.ts)",\s*import\.meta\.url/g;

function importsOf(path: string, text: string): SourceImport[] {
  const found: SourceImport[] = [];
  const add = (specifier: string, typeOnly: boolean, names: readonly string[]) => {
    const relative = specifier.startsWith(".");
    const target = relative ? posix.join(posix.dirname(path), specifier) : null;
    found.push({ specifier, path: target, typeOnly, names });
  };
  for (const [, clause = "", specifier = ""] of text.matchAll(statement)) {
    add(specifier, isTypeOnly(clause), namesIn(clause, text));
  }
  for (const [, taken = "", specifier = "", name] of text.matchAll(dynamicImport)) {
    add(specifier, false, name === undefined ? namesIn(`{${taken}}`, text) : [name]);
  }
  for (const [, specifier = ""] of text.matchAll(urlReference)) add(specifier, false, []);
  return found;
}

/** What a clause takes; of a module that is taken whole, what is said after its name. */
function namesIn(clause: string, text: string): string[] {
  const whole = /\* as (\w+)/.exec(clause)?.[1];
  if (whole !== undefined) {
    return [...text.matchAll(new RegExp(`\\b${whole}\\.(\\w+)`, "g"))].map(([, name = ""]) => name);
  }
  const each = /\{([^}]*)\}/.exec(clause)?.[1]?.split(",") ?? [];
  return each.flatMap((part) => /^\s*(?:type\s+)?(\w+)/.exec(part)?.[1] ?? []);
}

function isTypeOnly(clause: string): boolean {
  if (clause.startsWith("type ")) return true;
  const names = /^\{([^}]*)\}$/.exec(clause.trim())?.[1];
  if (names === undefined) return false;
  const each = names.split(",").filter((name) => name.trim() !== "");
  return each.every((name) => name.trim().startsWith("type "));
}
