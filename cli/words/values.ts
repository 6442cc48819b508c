import { limitsSchema, type Limits } from "../../shared/limits.ts";
import { jsonOrNull } from "../../shared/json-or-null.ts";
import { formatCredits, type Micros, parseCredits } from "../../shared/money.ts";
import { publicKeyPattern } from "../../shared/crypto/signing.ts";
import { keyScopes, type KeyScope } from "../../shared/permissions.ts";
import { UsageError } from "../failures.ts";

/** How the values of options are written. Each throws UsageError with the accepted form. */

function refuse(text: string, name: string, accepted: string): never {
  throw new UsageError(`Cannot use ${JSON.stringify(text)} as ${name}: it must be ${accepted}`);
}

/** What usage can be summed by. */
export const usageGroups = ["key", "model", "day", "team", "project"] as const;

/** JSON carries micros as a number, and every one of them exactly. */
const microsMax = BigInt(Number.MAX_SAFE_INTEGER);

/** Micros of an amount in credits, over zero. */
export function amountOf(text: string, name: string): Micros {
  const micros = parseCredits(text);
  if (micros === null || micros === 0n) {
    refuse(text, name, "credits over 0 with at most six decimals, like 5 or 0.25");
  }
  if (micros > microsMax) refuse(text, name, `${formatCredits(microsMax)} credits at most`);
  return micros;
}

export function wholeOf(text: string, name: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d{1,15}$/.test(text) && value >= least && value <= most) return value;
  return refuse(text, name, `a whole number from ${least} to ${most}`);
}

export function decimalOf(text: string, name: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d{1,6}(\.\d{1,6})?$/.test(text) && value >= least && value <= most) return value;
  return refuse(text, name, `a number from ${least} to ${most}`);
}

export function choiceOf<const Value extends string>(
  text: string,
  name: string,
  values: readonly Value[],
): Value {
  const found = values.find((value) => value === text);
  return found ?? refuse(text, name, `one of ${values.join(", ")}`);
}

/** Words with commas between them, none of them empty or twice. */
export function listOf(text: string, name: string): string[] {
  const words = text.split(",").map((word) => word.trim());
  if (words.includes("") || new Set(words).size < words.length) {
    refuse(text, name, "words with commas between them, each once");
  }
  return words;
}

/** A worker's public key, as octo-worker shows it. */
export function workerIdOf(text: string): string {
  const accepted = "the public key that octo-worker shows, 43 letters, digits, - or _";
  return publicKeyPattern.test(text) ? text : refuse(text, "a worker's id", accepted);
}

export function scopesOf(text: string): KeyScope[] {
  return listOf(text, "--scopes").map((word) => choiceOf(word, "--scopes", keyScopes));
}

/** A UTC day, YYYY-MM-DD, which is there: no 30th of February. */
export function dayOf(text: string, name: string): string {
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text) && dayStart(text) !== null;
  return isDay ? text : refuse(text, name, "a date like 2026-11-01");
}

function dayStart(day: string): number | null {
  const ms = Date.parse(`${day}T00:00:00.000Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(day) ? ms : null;
}

const msByUnit = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds of `90m`, `12h` or `30d`. */
export function spanOf(text: string, name: string): number {
  const [, amount = "", unit = ""] = /^(\d{1,5})([mhd])$/.exec(text) ?? [];
  const ms = Number(amount) * (msByUnit[unit as keyof typeof msByUnit] ?? 0);
  return ms > 0 ? ms : refuse(text, name, "a time like 90m, 12h or 30d");
}

/** When something ends: so long from now, or with a UTC day. */
export function endOf(text: string, name: string, nowMs: number): string {
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text) ? dayStart(text) : null;
  const atMs = day === null ? null : day + msByUnit.d;
  if (atMs !== null && atMs > nowMs) return new Date(atMs).toISOString();
  if (/^\d{1,5}[mhd]$/.test(text)) return new Date(nowMs + spanOf(text, name)).toISOString();
  return refuse(text, name, "a time like 12h or 30d, or a date to come like 2027-01-31");
}

const limitNames = {
  rpm: "requests_per_minute",
  tpm: "tokens_per_minute",
  concurrency: "concurrency",
  "max-tokens": "max_tokens",
  day: "day_budget_micros",
  month: "month_budget_micros",
  end: "budget_end",
} as const;

/** `rpm=60,day=5`, budgets in credits; or the JSON of the API. */
export function limitsOf(text: string): Limits {
  const written = text.trimStart().startsWith("{") ? jsonOrNull(text) : limitsInWords(text);
  const limits = limitsSchema.safeParse(written);
  if (limits.success && Object.keys(limits.data).length > 0) return limits.data;
  return refuse(text, "--limits", `${Object.keys(limitNames).join("=…, ")}=…, or the API's JSON`);
}

function limitsInWords(text: string): Record<string, unknown> | null {
  const found: Record<string, unknown> = {};
  for (const word of text.split(",")) {
    const [, name = "", value = ""] = /^\s*([a-z-]+)=([\w.]+)\s*$/.exec(word) ?? [];
    if (!Object.hasOwn(limitNames, name)) return null;
    const field = limitNames[name as keyof typeof limitNames];
    if (Object.hasOwn(found, field)) return null;
    if (field === "budget_end") found[field] = value;
    else if (!field.endsWith("_micros"))
      found[field] = /^\d{1,15}$/.test(value) ? Number(value) : null;
    else {
      const micros = parseCredits(value);
      found[field] = micros === null || micros > microsMax ? null : Number(micros);
    }
  }
  return found;
}

/** What a model is called by: names of the network hold no other characters. */
export const modelNamePattern = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/;
