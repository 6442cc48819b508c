import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { ModelManifest } from "../../shared/protocol/manifest.ts";
import { readManifest } from "../../shared/protocol/manifest.ts";
import type { GgufFile } from "./gguf.ts";
import { memoryNeed } from "./memory.ts";
import type { ModelDigest } from "./model-digest.ts";
import { ModelError } from "./model-error.ts";
import { shownUrl } from "./shown-url.ts";
import { getSmall } from "./small-get.ts";

/** A thousand files take a tenth of it. */
const manifestBytesMax = 2 ** 20;
const contextTold = 4096;

/** What a manifest says of a model, as far as its files tell. */
export type Described = Pick<
  ModelManifest,
  | "digest"
  | "files"
  | "format"
  | "quantization"
  | "context_tokens"
  | "architecture"
  | "chat_template_sha256"
  | "min_memory_bytes"
>;

export function describeForManifest(file: GgufFile, { digest, files }: ModelDigest): Described {
  const contextTokens = Math.min(file.contextTokens, contextTold);
  return {
    digest,
    files: files.map(({ name, sha256, bytes }) => ({ name, sha256, bytes })),
    format: "gguf",
    quantization: file.quantization,
    context_tokens: file.contextTokens,
    architecture: file.architecture,
    chat_template_sha256: file.chatTemplate === null ? null : hashOf(file.chatTemplate),
    min_memory_bytes: memoryNeed(file, { slots: 1, contextTokens }).totalBytes,
  };
}

/**
 * Throws ModelError `bad_file` with the first thing in which a model is not what its manifest says.
 * The name of a single file is its owner's choice.
 */
export function assertMatches(manifest: ModelManifest, found: Described): void {
  const differs = (what: string, said: unknown, is: unknown): void => {
    if (said === is) return;
    const rule = `its ${what} is ${String(is)} and the manifest says ${String(said)}`;
    throw new ModelError("bad_file", `Cannot keep ${manifest.name}: ${rule}`);
  };
  differs("number of files", manifest.files.length, found.files.length);
  const isSplit = manifest.files.length > 1;
  for (const [at, file] of manifest.files.entries()) {
    const own = isSplit ? found.files.find(({ name }) => name === file.name) : found.files[at];
    differs(`file ${file.name}`, "there", own === undefined ? "missing" : "there");
    differs(`size of ${file.name}`, file.bytes, own?.bytes);
    differs(`SHA-256 of ${file.name}`, file.sha256, own?.sha256);
  }
  differs("SHA-256", manifest.digest, found.digest);
  differs("quantization", manifest.quantization, found.quantization);
  differs("context", manifest.context_tokens, found.context_tokens);
  differs("architecture", manifest.architecture, found.architecture);
  const template = "chat template's SHA-256";
  differs(template, manifest.chat_template_sha256, found.chat_template_sha256);
}

export interface LoadedManifest {
  readonly manifest: ModelManifest;
  /** As it was read: what its creator signed. */
  readonly text: string;
}

/** Reads and checks the manifest in a file or at an https URL. Throws ModelError. */
export async function loadManifest(place: string, signal: AbortSignal): Promise<LoadedManifest> {
  const fail = (code: "bad_file" | "download_failed", reason: string, cause?: unknown): never => {
    throw new ModelError(code, `Cannot use the manifest ${shownUrl(place)}: ${reason}`, { cause });
  };
  const text = await readPlace(place, signal, fail);
  const read = await readManifest(text);
  return read.kind === "valid" ? { manifest: read.manifest, text } : fail("bad_file", read.reason);
}

type Fail = (code: "bad_file" | "download_failed", reason: string, cause?: unknown) => never;

async function readPlace(place: string, signal: AbortSignal, fail: Fail): Promise<string> {
  if (!/^https?:/i.test(place)) {
    return readFile(place, "utf8").catch((cause: unknown) => {
      const { code } = cause as NodeJS.ErrnoException;
      const reason = code === "ENOENT" ? "there is no such file" : `it cannot be read (${code})`;
      return fail("bad_file", reason, cause);
    });
  }
  if (!URL.canParse(place)) return fail("bad_file", "it is not a URL");
  const url = new URL(place);
  if (url.username !== "" || url.password !== "") return fail("bad_file", "it holds a password");
  const isLocal = url.hostname === "localhost" || url.hostname === "127.0.0.1";
  if (url.protocol !== "https:" && !isLocal) return fail("bad_file", "it has to come over https");
  const response = await getSmall(url.href, { token: null, signal }).catch((cause: unknown) => {
    signal.throwIfAborted();
    if (cause instanceof ModelError) throw cause;
    return fail("download_failed", "its server cannot be reached", cause);
  });
  if (!response.ok) return fail("download_failed", `the server answered ${response.status}`);
  if (Buffer.byteLength(response.text) <= manifestBytesMax) return response.text;
  return fail("bad_file", `it has over ${manifestBytesMax} bytes`);
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
