import type { Schema } from "./json-grammar-keywords.ts";
import { refuse } from "./json-grammar-keywords.ts";

/** llama.cpp expands a repetition into rules and refuses more than 2,000 of them in one. */
export const repetitionsMax = 1000;

/** `"-"? ("0" | [1-9] [0-9]{0,14})` in the common rules: what a double holds exactly. */
const integerBound = 999_999_999_999_999;

/** Exact calendar dates, the 29th of February only in leap years (RFC 3339, appendix C). */
const date = [
  `([0-9]{4} "-" (("0" [13578] | "1" [02]) "-" ("0" [1-9] | [12] [0-9] | "3" [01])`,
  ` | ("0" [469] | "11") "-" ("0" [1-9] | [12] [0-9] | "30")`,
  ` | "02-" ("0" [1-9] | "1" [0-9] | "2" [0-8]))`,
  ` | ([0-9] [0-9] ("0" [48] | [2468] [048] | [13579] [26])`,
  ` | ([02468] [048] | [13579] [26]) "00") "-02-29")`,
].join("");
const clock = `([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,6})?`;
const offset = `("Z" | [-+] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9])`;
const octet = `("25" [0-5] | "2" [0-4] [0-9] | "1" [0-9] [0-9] | [1-9] [0-9] | [0-9])`;
const label = `[a-z0-9] ([-a-z0-9]{0,30} [a-z0-9])?`;

const formats: Readonly<Record<string, string>> = {
  date,
  time: `${clock} ${offset}`,
  "date-time": `${date} "T" ${clock} ${offset}`,
  uuid: `hex{8} "-" hex{4} "-" hex{4} "-" hex{4} "-" hex{12}`,
  ipv4: `${octet} "." ${octet} "." ${octet} "." ${octet}`,
  hostname: `${label} ("." ${label}){0,4}`,
  email: `[a-z0-9] ([-a-z0-9_]{0,30} [a-z0-9])? "@" ${label} ("." ${label}){1,4}`,
};

/** A value as the JSON text it must be, quoted for GBNF. */
export function literal(value: unknown): string {
  return quote(JSON.stringify(value) ?? "null");
}

/** A text that must stand so, quoted for GBNF. */
export function quote(text: string): string {
  const escaped = text
    .replaceAll("\\", "\\\\")
    .replaceAll('"', String.raw`\"`)
    .replaceAll("\n", String.raw`\n`)
    .replaceAll("\r", String.raw`\r`);
  return `"${escaped}"`;
}

export function group(alternatives: readonly string[]): string {
  const [only] = alternatives;
  return alternatives.length === 1 && only !== undefined ? only : `(${alternatives.join(" | ")})`;
}

/** A keyword that counts something: an integer of zero or more. */
export function countOf(node: Schema, keyword: string, otherwise: number): number {
  const value = node[keyword] ?? otherwise;
  const isCount = typeof value === "number" && value >= 0;
  if (!isCount) refuse(keyword, `it is ${JSON.stringify(value)}, not a count`);
  return Number(value);
}

export function stringExpression(node: Schema): string {
  const least = countOf(node, "minLength", 0);
  const most = countOf(node, "maxLength", Number.POSITIVE_INFINITY);
  if (least > most) refuse("minLength", `${least} is more than maxLength ${most}`);
  if (least > repetitionsMax) refuse("minLength", `${least} is more than ${repetitionsMax}`);
  const { format } = node;
  if (format === undefined) {
    if (least === 0 && most === Number.POSITIVE_INFINITY) return "string";
    const upper = most === Number.POSITIVE_INFINITY ? "" : Math.min(most, repetitionsMax);
    return String.raw`("\"" char{${least},${upper}} "\"")`;
  }
  const known = typeof format === "string" ? formats[format] : undefined;
  if (known === undefined) refuse("format", `${JSON.stringify(format)} is not supported`);
  if ("minLength" in node || "maxLength" in node) {
    refuse("format", "it stands beside a length, and only one can be honoured");
  }
  return String.raw`("\"" ${known} "\"")`;
}

const bounds = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] as const;

export function numberExpression(node: Schema): string {
  for (const keyword of bounds) {
    if (keyword in node) refuse(keyword, "only integers can be bounded");
  }
  return "number";
}

export function integerExpression(node: Schema): string {
  if (!bounds.some((keyword) => keyword in node)) return "integer";
  const bound = (keyword: (typeof bounds)[number], otherwise: number): number => {
    const value = node[keyword] ?? otherwise;
    if (typeof value !== "number") refuse(keyword, `${JSON.stringify(value)} is not a number`);
    return value;
  };
  const least = Math.max(
    Math.ceil(bound("minimum", -integerBound)),
    Math.floor(bound("exclusiveMinimum", -integerBound - 1)) + 1,
    -integerBound,
  );
  const most = Math.min(
    Math.floor(bound("maximum", integerBound)),
    Math.ceil(bound("exclusiveMaximum", integerBound + 1)) - 1,
    integerBound,
  );
  if (least > most) refuse("minimum", `no integer lies from ${least} to ${most}`);
  return group(integerRange(least, most));
}

/** Expressions for the integers from `least` to `most`, both included. */
function integerRange(least: number, most: number): string[] {
  if (least < 0) {
    const negatives = integerRange(Math.max(1, -Math.min(most, -1)), -least);
    const signed = `"-" ${group(negatives)}`;
    return most < 0 ? [signed] : [signed, ...integerRange(0, most)];
  }
  const ranges: string[] = [];
  for (let low = least; low <= most;) {
    const free = freeDigits(low, most);
    const step = 10 ** free;
    const head = String(low / step);
    const lastDigit = Number(head.slice(-1));
    const blocks = Math.min(9 - lastDigit, Math.floor((most - low + 1) / step) - 1);
    const digit = blocks === 0 ? `"${lastDigit}"` : `[${lastDigit}-${lastDigit + blocks}]`;
    const fixed = head.length > 1 ? `"${head.slice(0, -1)}" ` : "";
    ranges.push(`${fixed}${digit}${free > 0 ? ` [0-9]{${free}}` : ""}`);
    low += (blocks + 1) * step;
  }
  return ranges;
}

/** How many digits at the end of `low` may be anything without leaving `low` to `most`. */
function freeDigits(low: number, most: number): number {
  if (low === 0) return 0;
  const trailingZeros = /0*$/.exec(String(low))?.[0].length ?? 0;
  for (let free = trailingZeros; free > 0; free--) {
    if (low + 10 ** free - 1 <= most) return free;
  }
  return 0;
}
