import { Worker } from "node:worker_threads";
import type { Log } from "../../../shared/log.ts";
import { type FolderDownload, fetchFolder } from "../../models/folder-download.ts";
import { folderDigest, type FolderModel, readFolder } from "../../models/folder-model.ts";
import type { FolderSource } from "../../models/folder-source.ts";
import { inMebibytes } from "../../models/memory.ts";
import { ModelError } from "../../models/model-error.ts";
import type { Engine } from "../engine.ts";
import { ThreadCalls } from "./transformers-calls.ts";
import { audioContextTokens, TransformersEngine } from "./transformers-engine.ts";
import { findTransformers, missingTransformers } from "./transformers-package.ts";
import type { ThreadAnswer, ThreadSetup } from "./transformers-thread.ts";

export interface OpenTransformersOptions extends FolderDownload {
  readonly slots: number;
  /** The most context a task gets; null is what the model was trained for. */
  readonly contextTokensMax: number | null;
  readonly threads: number;
  readonly freeMemoryBytes: number;
  readonly log: Log;
}

/** What is assumed where no file tells how long a text may be, as the first BERT had it. */
const defaultContextTokens = 512;

/**
 * Makes an ONNX model ready: fetches its files where needed, checks and hashes them, loads them on
 * a thread. Throws ModelError with one sentence for the provider, or the signal's reason.
 */
export async function openTransformersEngine(
  source: FolderSource,
  options: OpenTransformersOptions,
  signal: AbortSignal,
): Promise<Engine> {
  const packageUrl = findTransformers();
  if (packageUrl === null) throw new ModelError("missing_package", missingTransformers);
  const folder = await readFolder(await fetchFolder(source, options), source);
  assertFits(folder, options.freeMemoryBytes);
  const { digestFolder: cacheFolder, slots, contextTokensMax, log } = options;
  const digest = await folderDigest(folder, { cacheFolder, signal });
  if (folder.task === "embeddings" && folder.pooling === null) {
    log("warn", "The model does not say how it pools; taking the mean (?pooling= in --model)", {
      folder: folder.folder,
    });
  }
  const setup = { ...folder, packageUrl, pooling: folder.pooling ?? "mean" };
  const { calls, hasWordTimes } = await startThread({ ...setup, threads: options.threads }, signal);
  const trained =
    folder.task === "transcription"
      ? audioContextTokens
      : (folder.contextTokens ?? defaultContextTokens);
  return new TransformersEngine(folder, calls, {
    digest,
    identity: "content",
    contextTokens: Math.min(trained, contextTokensMax ?? Infinity),
    quantization: folder.dtype,
    parameterCount: folder.parameterCount,
    weightBytes: folder.weightBytes,
    architecture: folder.architecture,
    slots,
    hasWordTimes,
  });
}

function assertFits({ folder, weightBytes }: FolderModel, freeBytes: number): void {
  if (weightBytes <= freeBytes) return;
  const need = `its weights take ${inMebibytes(weightBytes)}`;
  const rule = `${need} and ${inMebibytes(freeBytes)} are free`;
  const way = "choose a smaller form with ?dtype=q8, say";
  throw new ModelError("does_not_fit", `Cannot load the model in ${folder}: ${rule}; ${way}`);
}

async function startThread(
  setup: ThreadSetup,
  signal: AbortSignal,
): Promise<{ calls: ThreadCalls; hasWordTimes: boolean }> {
  // The bundle has the thread's file beside its own.
  const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const file = new URL(`./transformers-thread.${ending}`, import.meta.url);
  const thread = new Worker(file, { workerData: setup });
  const calls = new ThreadCalls(thread);
  try {
    const hasWordTimes = await whenLoaded(thread, setup.folder, signal);
    return { calls, hasWordTimes };
  } catch (error) {
    await calls.close();
    throw error;
  }
}

function whenLoaded(thread: Worker, folder: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => {
      reject(new ModelError("bad_file", `Cannot load the model in ${folder}: ${reason}`));
    };
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    thread.once("error", (error) => fail(error.message));
    thread.once("exit", () => fail("its thread ended"));
    thread.once("message", (answer: ThreadAnswer) => {
      if (answer.kind === "loaded") resolve(answer.hasWordTimes);
      else fail(answer.kind === "unloadable" ? answer.reason : "its thread answered out of turn");
    });
  });
}
