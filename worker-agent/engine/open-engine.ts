import { freemem } from "node:os";
import { access } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "../../shared/log.ts";
import { fileDigest } from "../models/digest.ts";
import type { DownloadProgress } from "../models/download.ts";
import { downloadFile } from "../models/download.ts";
import { readGguf } from "../models/gguf.ts";
import { resolveHubFile } from "../models/hub.ts";
import { assertFits } from "../models/memory.ts";
import { ModelError } from "../models/model-error.ts";
import type { ModelSource } from "../models/model-source.ts";
import { bundledModelPath, storedFileName } from "../models/model-source.ts";
import type { Engine } from "./engine.ts";
import type { SyntheticConfig } from "./synthetic.ts";
import { createSyntheticEngine } from "./synthetic.ts";

export interface OpenEngineOptions {
  /** Where downloads and digests are kept. */
  readonly modelsFolder: string;
  readonly slots: number;
  /** The most context a slot gets; null is what the model was trained for. */
  readonly contextTokensMax: number | null;
  /** Threads for decoding; null is the physical cores less one. */
  readonly threads: number | null;
  readonly gpu: "auto" | "none";
  /** Memory the model may take; null is what the machine has free now. */
  readonly freeMemoryBytes: number | null;
  readonly hubUrl: string;
  /** HF_TOKEN: for the hub's host alone. */
  readonly hubToken: string | null;
  readonly synthetic: Partial<SyntheticConfig>;
  readonly log: Log;
  readonly onDownload?: (progress: DownloadProgress) => void;
  readonly onDigest?: (doneBytes: number, totalBytes: number) => void;
}

export const openEngineDefaults = {
  slots: 4,
  contextTokensMax: null,
  threads: null,
  gpu: "auto",
  freeMemoryBytes: null,
  hubUrl: "https://huggingface.co",
  hubToken: null,
  synthetic: {},
} as const;

/**
 * Makes a source ready to generate: fetches it where needed, checks the file and the memory, takes
 * its digest, loads it. Throws ModelError or EngineError with one sentence for the provider, or the
 * signal's reason.
 */
export async function openEngine(
  source: ModelSource,
  options: OpenEngineOptions,
  signal: AbortSignal,
): Promise<Engine> {
  if (source.kind === "synthetic") {
    const { slots, contextTokensMax: contextTokens } = options;
    const shape = { slots, ...(contextTokens === null ? {} : { contextTokens }) };
    const { name, documents = false } = source;
    return createSyntheticEngine({ ...shape, documents, ...options.synthetic, name });
  }
  const { path, sha256 } = await fetchModel(source, options, signal);
  const file = readGguf(path);
  const contextTokens = Math.min(file.contextTokens, options.contextTokensMax ?? Infinity);
  const { slots } = options;
  assertFits(file, { slots, contextTokens }, options.freeMemoryBytes ?? freeMemory());
  const digest = await fileDigest(path, {
    cacheFolder: digestFolder(options),
    signal,
    ...(options.onDigest === undefined ? {} : { onProgress: options.onDigest }),
  });
  if (sha256 !== null && digest !== sha256) {
    const rule = `its SHA-256 is ${digest} and should be ${sha256}`;
    throw new ModelError("bad_file", `Cannot use the model file ${path}: ${rule}`);
  }
  // Loaded only here: the package behind it takes a third of a second, and `--help` should not wait
  // for it.
  const { openEmbeddedEngine } = await import("./embedded-llama.ts");
  const { quantization, parameterCount, architecture, chatTemplate } = file;
  const { weightBytes } = file;
  const shape = { contextTokens, quantization, parameterCount, weightBytes, architecture, slots };
  const model = { digest, identity: "content", ...shape } as const;
  const { threads, gpu, log } = options;
  return openEmbeddedEngine({ path, model, chatTemplate, threads, gpu, log }, signal);
}

async function fetchModel(
  source: Exclude<ModelSource, { kind: "synthetic" }>,
  options: OpenEngineOptions,
  signal: AbortSignal,
): Promise<{ path: string; sha256: string | null }> {
  if (source.kind === "bundled") return { path: bundledModelPath(), sha256: null };
  if (source.kind === "file") return { path: source.path, sha256: null };
  const fileName = storedFileName(source);
  const path = join(options.modelsFolder, fileName);
  const known = source.kind === "url" ? source.sha256 : null;
  // A model once fetched is served without the network; another version has another revision or
  // digest.
  if (await exists(path)) return { path, sha256: known };
  const { hubUrl: baseUrl, hubToken: token } = options;
  const remote =
    source.kind === "url"
      ? { url: source.url, sha256: source.sha256 }
      : await resolveHubFile(source, { baseUrl, token, signal });
  await downloadFile({
    ...remote,
    folder: options.modelsFolder,
    fileName,
    token: source.kind === "hub" ? token : null,
    digestFolder: digestFolder(options),
    signal,
    ...(options.onDownload === undefined ? {} : { onProgress: options.onDownload }),
  });
  return { path, sha256: remote.sha256 };
}

function digestFolder(options: OpenEngineOptions): string {
  return join(options.modelsFolder, "digests");
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** What the machine has free, within the limit a container may set. */
function freeMemory(): number {
  const limit = process.constrainedMemory();
  if (limit === undefined || limit <= 0 || limit > 2 ** 52) return freemem();
  return Math.min(freemem(), limit - process.memoryUsage.rss());
}
