import type { z } from "zod";
import { OctoError } from "../../shared/errors.ts";
import { requestBytesMax } from "../../shared/protocol/limits.ts";

/** The request's body as text, of at most 4 MiB; reading stops where it grows over that. */
export async function readText(request: Request): Promise<string> {
  if (isDeclared(request, "")) return request.text();
  const decoder = new TextDecoder();
  let text = "";
  await readChunks(request.body, "", (chunk) => {
    text += decoder.decode(chunk, { stream: true });
  });
  return text + decoder.decode();
}

/** The same as bytes; `hint` ends the refusal of a body that is too large. */
export async function readBytes(request: Request, hint: string): Promise<Uint8Array<ArrayBuffer>> {
  if (isDeclared(request, hint)) return new Uint8Array(await request.arrayBuffer());
  const chunks: Uint8Array[] = [];
  const length = await readChunks(request.body, hint, (chunk) => chunks.push(chunk));
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}

/** Whether the body's length is known beforehand, and is allowed. */
function isDeclared(request: Request, hint: string): boolean {
  const declared = Number(request.headers.get("content-length") ?? 0);
  if (declared > requestBytesMax) throw tooLarge(declared, hint);
  return request.headers.has("content-length");
}

/** Gives each chunk of a body of unknown length, and the sum of their lengths. */
async function readChunks(
  body: ReadableStream<Uint8Array> | null,
  hint: string,
  take: (chunk: Uint8Array) => void,
): Promise<number> {
  if (body === null) return 0;
  const reader = body.getReader();
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return bytes;
      bytes += value.byteLength;
      if (bytes > requestBytesMax) throw tooLarge(bytes, hint);
      take(value);
    }
  } finally {
    // Not cancelled: what is left is drained before the refusal is sent.
    reader.releaseLock();
  }
}

function tooLarge(bytes: number, hint: string): OctoError {
  return new OctoError(
    "body_too_large",
    `Cannot read the body: it has ${bytes} bytes or more and may have ${requestBytesMax}${hint}`,
  );
}

/** The text as JSON of `schema`, or an error that names the place. */
export function parseBody<T>(text: string, schema: z.ZodType<T>): T {
  return checked(parseJson(text), schema, "The body");
}

/**
 * The value as `schema` has it, or an error that names the place; `whole` names the value itself.
 */
export function checked<T>(value: unknown, schema: z.ZodType<T>, whole: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path, message } = deepestIssue(parsed.error.issues, []);
  const param = pathText(path);
  const place = param === "" ? whole : param;
  throw new OctoError("invalid_request", `${place}: ${message}`, param === "" ? {} : { param });
}

/** Half a surrogate pair comes as an escape alone: what was decoded from UTF-8 has none. */
const surrogateEscape = /\\u[dD][89a-fA-F]/;

function parseJson(text: string): unknown {
  try {
    return surrogateEscape.test(text) ? JSON.parse(text, wellFormed) : JSON.parse(text);
  } catch (error) {
    const at = breakOf(text, error);
    const before = text.slice(0, at);
    const line = before.split("\n").length;
    const column = at - before.lastIndexOf("\n");
    throw new OctoError(
      "invalid_json",
      `The body is not JSON: it breaks at line ${line}, column ${column}`,
      { cause: error },
    );
  }
}

/**
 * What is no Unicode becomes U+FFFD, as in bytes that are not UTF-8: a database refuses it, or
 * fails when it is read back.
 */
function wellFormed(_: string, value: unknown): unknown {
  return typeof value === "string" ? value.toWellFormed() : value;
}

/**
 * Where text stops being JSON. V8 says it in most of its messages, but not in "Unexpected token"
 * (workerd 2026-11).
 */
function breakOf(text: string, error: unknown): number {
  const message = messageOf(error);
  const position = /position (\d+)/.exec(message)?.[1];
  if (position !== undefined) return Number(position);
  if (!isUnexpectedToken(message)) return text.length;
  // The shortest beginning that has the token in it, halving what is between.
  let [sound, broken] = [0, text.length];
  while (broken - sound > 1) {
    const middle = (sound + broken) >> 1;
    if (hasUnexpectedToken(text.slice(0, middle))) broken = middle;
    else sound = middle;
  }
  return sound;
}

function hasUnexpectedToken(text: string): boolean {
  try {
    JSON.parse(text);
    return false;
  } catch (error) {
    return isUnexpectedToken(messageOf(error));
  }
}

function isUnexpectedToken(message: string): boolean {
  return message.startsWith("Unexpected token");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : "";
}

type Issue = z.core.$ZodIssue;

/**
 * Of a union's branches the one that came closest says what is wrong; "Invalid input" says nothing.
 */
function deepestIssue(
  issues: readonly Issue[],
  prefix: readonly PropertyKey[],
): { readonly path: readonly PropertyKey[]; readonly message: string } {
  const issue = issues[0];
  if (issue === undefined) return { path: prefix, message: "it is not valid" };
  const path = [...prefix, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    return { path: [...path, ...issue.keys.slice(0, 1)], message: "there is no such field" };
  }
  if (issue.code !== "invalid_union" || issue.errors.length === 0) {
    return { path, message: wordsOf(issue) };
  }
  const branches = issue.errors.map((branch) => deepestIssue(branch, path));
  const deepest = branches.reduce((a, b) => (b.path.length > a.path.length ? b : a));
  if (deepest.path.length > path.length) return deepest;
  return { path, message: branches.map((branch) => branch.message).join(", or ") };
}

/** The issue as a sentence about its place. */
function wordsOf(issue: Issue): string {
  if (issue.code === "invalid_type" && issue.expected === "int") return "it must be a whole number";
  return issue.message.startsWith("not ") ? `it is ${issue.message}` : issue.message;
}

/** `messages[0].content`, as OpenAI writes places. */
function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`))
    .join("")
    .replace(/^\./, "");
}
