import { readFile } from "node:fs/promises";
import type { Log } from "../../shared/log.ts";
import { freeMainBytes } from "../hardware/free-memory.ts";
import { defaultThreads } from "../hardware/hardware.ts";
import type { DownloadProgress } from "../models/download.ts";
import type { FetchOptions } from "../models/fetch-model.ts";
import { digestFolderOf, fetchModel, isGgufSource } from "../models/fetch-model.ts";
import type { GgufFile } from "../models/gguf.ts";
import { readGguf } from "../models/gguf.ts";
import { assertFits, memoryNeed } from "../models/memory.ts";
import { publicHubUrl } from "../models/hub.ts";
import { identityWithTemplate, modelDigest } from "../models/model-digest.ts";
import { ModelError } from "../models/model-error.ts";
import type { ModelSource } from "../models/model-source.ts";
import { openUpstream } from "../upstream/open-upstream.ts";
import type { Engine } from "./engine.ts";
import { EngineError } from "./engine.ts";
import type { SyntheticConfig } from "./synthetic/synthetic.ts";
import { createSyntheticEngine } from "./synthetic/synthetic.ts";

export interface OpenEngineOptions {
  /** Where downloads and digests are kept. */
  readonly modelsFolder: string;
  readonly slots: number;
  /** As few as may be opened instead: a file is chosen and fetched for these. */
  readonly slotsLeast?: number;
  /** The most context a slot gets; null is what the model was trained for. */
  readonly contextTokensMax: number | null;
  /** Threads for decoding; null is the physical cores less one. */
  readonly threads: number | null;
  readonly gpu: "auto" | "none";
  /** A smaller GGUF model of the same vocabulary that guesses ahead; null for none. */
  readonly draft: ModelSource | null;
  /** A file with a chat template in place of the model's own; it makes another model of it. */
  readonly chatTemplateFile?: string | null;
  /** Memory the model may take; null is what is free now beside the cards. */
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
  draft: null,
  freeMemoryBytes: null,
  hubUrl: publicHubUrl,
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
  if (source.kind === "upstream") return openUpstream(source, options, signal);
  if (source.kind === "onnx") return openFolder(source, options, signal);
  const free = options.freeMemoryBytes ?? freeMainBytes();
  const fetchedFor = options.slotsLeast ?? options.slots;
  const fetching = { ...options, slots: fetchedFor, freeBytes: free, signal };
  const { path, digest: promised } = await fetchModel(source, fetching);
  const file = readGguf(path);
  const contextTokens = Math.min(file.contextTokens, options.contextTokensMax ?? Infinity);
  const { slots } = options;
  const draft = options.draft === null ? null : await fetchDraft(options.draft, fetching);
  // The draft model has a cache of its own for every slot.
  const left =
    draft === null ? free : free - memoryNeed(draft, { slots, contextTokens }).totalBytes;
  assertFits(file, { slots, contextTokens }, left);
  const { digest } = await modelDigest(file.paths, {
    cacheFolder: digestFolderOf(options.modelsFolder),
    signal,
    ...(options.onDigest === undefined ? {} : { onProgress: options.onDigest }),
  });
  if (promised !== null && digest !== promised) {
    const rule = `its SHA-256 is ${digest} and should be ${promised}`;
    throw new ModelError("bad_file", `Cannot use the model file ${path}: ${rule}`);
  }
  // Loaded only here: the package behind it takes a third of a second, and `--help` should not wait
  // for it.
  const { openEmbeddedEngine } = await import("./embedded/embedded-llama.ts");
  const { quantization, parameterCount, architecture, weightBytes } = file;
  const template = await readChatTemplate(options.chatTemplateFile ?? null);
  const chatTemplate = template ?? file.chatTemplate;
  const shape = { contextTokens, quantization, parameterCount, weightBytes, architecture, slots };
  const identity = template === null ? digest : identityWithTemplate(digest, template);
  const model = { digest: identity, identity: "content", ...shape } as const;
  const { threads, gpu, log } = options;
  return openEmbeddedEngine({ path, model, chatTemplate, threads, gpu, draft, log }, signal);
}

async function readChatTemplate(path: string | null): Promise<string | null> {
  if (path === null) return null;
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const message = `Cannot read the chat template ${path}`;
    throw new ModelError("bad_file", message, { cause });
  }
}

async function fetchDraft(source: ModelSource, options: FetchOptions): Promise<GgufFile> {
  if (isGgufSource(source)) return readGguf((await fetchModel(source, options)).path);
  throw new EngineError("engine_failed", "Cannot use this draft model: it has to be a GGUF file");
}

/** An ONNX model. Its code, and the package behind it, are loaded only where there is one. */
async function openFolder(
  source: Extract<ModelSource, { kind: "onnx" }>,
  options: OpenEngineOptions,
  signal: AbortSignal,
): Promise<Engine> {
  const { openTransformersEngine } = await import("./transformers/transformers-open.ts");
  const { onDownload, freeMemoryBytes, threads, ...shared } = options;
  const more = onDownload === undefined ? {} : { onDownload };
  const machine = {
    freeMemoryBytes: freeMemoryBytes ?? freeMainBytes(),
    threads: threads ?? defaultThreads(),
    digestFolder: digestFolderOf(options.modelsFolder),
  };
  return openTransformersEngine(source, { ...shared, ...machine, ...more, signal }, signal);
}
