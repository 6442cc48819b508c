import { join, resolve } from "node:path";
import { z } from "zod";
import type { Found } from "./find-settings.ts";
import { ConfigError } from "./config-error.ts";

/** Reads one setting's text, or throws ConfigError with the form it must have. */
export type Form<Value> = (found: Found) => Value;

function read<Value>(found: Found, schema: z.ZodType<Value, string>, accepted: string): Value {
  const text = found.texts[0] ?? "";
  const parsed = schema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new ConfigError(`Cannot use ${JSON.stringify(text)} from ${found.from}: ${accepted}`);
}

export const flag: Form<boolean> = (found) => {
  const schema = z.enum(["true", "false", "1", "0"]);
  const text = read(found, schema, "it is either true or false");
  return text === "true" || text === "1";
};

export function integer(least: number, most: number): Form<number> {
  const schema = z
    .string()
    .regex(/^\d{1,12}$/)
    .transform(Number)
    .refine((value) => value >= least && value <= most);
  return (found) => read(found, schema, `it must be a whole number from ${least} to ${most}`);
}

export function choice<const Values extends readonly [string, ...string[]]>(
  values: Values,
): Form<Values[number]> {
  return (found) => read(found, z.enum(values), `it must be one of ${values.join(", ")}`);
}

/** `word` for "nothing chosen", which is null. */
export function orWord<Value>(word: string, form: Form<Value>): Form<Value | null> {
  return (found) => {
    if (found.texts[0] === word) return null;
    try {
      return form(found);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      throw new ConfigError(`${error.message}, or ${word}`, { cause: error });
    }
  };
}

export const account: Form<string> = (found) => {
  const schema = z.string().regex(/^acct_[0-9A-Za-z]{22,43}$/);
  return read(found, schema, "it must be an account id, acct_ and 22 to 43 letters or digits");
};

/** A folder; `~` is the home folder. */
export function path(home: string): Form<string> {
  return (found) => {
    const text = read(found, z.string().min(1), "it must be a folder");
    return text === "~" || text.startsWith("~/") ? join(home, text.slice(1)) : text;
  };
}

/** A file; `~` is the home folder. */
export function file(home: string): Form<string> {
  return (found) => resolve(path(home)(found));
}

/** Prices beyond 1,000 credits for a million tokens are refused by the protocol. */
const microsMax = 1_000_000_000;

/** Micros for a million tokens, from credits (`0.05`) or micros (`50000micros`). */
export const price: Form<number> = (found) => {
  const schema = z
    .string()
    .regex(/^(\d{1,10} ?micros|\d{1,4}(\.\d{1,6})?)$/)
    .transform((text) => {
      if (text.endsWith("micros")) return Number(text.slice(0, -"micros".length));
      const [whole = "0", fraction = ""] = text.split(".");
      return Number(whole) * 1_000_000 + Number(fraction.padEnd(6, "0"));
    })
    .refine((micros) => micros <= microsMax);
  const accepted =
    "it must be credits for a million tokens with at most six decimals (0.05), or micros " +
    "(50000micros), and at most 1000 credits";
  return read(found, schema, accepted);
};

/** An edge's address without a slash at its end. */
export function edge(isInsecure: boolean): Form<string> {
  const schema = z
    .string()
    .refine((text) => URL.canParse(text))
    .transform((text) => new URL(text))
    .refine((url) => url.protocol === "https:" || url.protocol === "http:")
    .refine((url) => url.protocol === "https:" || isLoopback(url) || isInsecure)
    .refine((url) => url.username === "" && url.password === "" && url.search + url.hash === "")
    .transform((url) => url.href.replace(/\/+$/, ""));
  const accepted =
    "it must be an https URL, or an http URL of this machine " +
    "(any http URL with --insecure), without a query";
  return (found) => read(found, schema, accepted);
}

/** Whether a URL leads to this very machine. */
export function isLoopback(url: URL): boolean {
  const host = url.hostname;
  return (
    host === "localhost" ||
    host.endsWith(".localhost") ||
    host === "[::1]" ||
    /^127(\.\d{1,3}){3}$/.test(host)
  );
}

/** A name to list a model under. */
export function modelName(text: string, found: Found): string {
  const schema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/);
  const accepted = "a model's name has 1 to 128 letters, digits and . _ : / -";
  return read({ ...found, texts: [text] }, schema, accepted);
}
