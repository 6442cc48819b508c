import { parentPort, workerData } from "node:worker_threads";
import { z } from "zod";
import type { TranscriptionResult } from "../../../shared/openai/results.ts";
import { EngineError, type EngineErrorCode } from "../engine.ts";
import { SpeechModel, type SpeechTask } from "./transformers-speech.ts";
import { type Encoded, TextModel } from "./transformers-text.ts";

/*
 * The thread that ONNX Runtime computes on. `session.run` of onnxruntime-node blocks the thread it
 * is called on for as long as the model computes, and the worker's sockets must answer meanwhile.
 */

/** What the thread is started with. */
const threadSetupSchema = z.object({
  /** The file URL of the installed package. */
  packageUrl: z.string(),
  folder: z.string(),
  subfolder: z.enum(["", "onnx"]),
  dtype: z.enum(["fp32", "fp16", "q8", "int8", "uint8", "q4", "q4f16", "bnb4"]),
  task: z.enum(["embeddings", "rerank", "classification", "transcription"]),
  pooling: z.enum(["mean", "cls", "last"]),
  isNormalized: z.boolean(),
  threads: z.int().min(1),
});
export type ThreadSetup = z.infer<typeof threadSetupSchema>;

/** What is asked of the thread; each but `abort` gets one answer with its id. */
export type ThreadCall =
  | { readonly kind: "tokenize"; readonly texts: readonly string[] }
  | { readonly kind: "tokenizePairs"; readonly query: string; readonly texts: readonly string[] }
  | { readonly kind: "tokenizePlain"; readonly text: string }
  | { readonly kind: "rows"; readonly items: readonly Encoded[] }
  | { readonly kind: "transcribe"; readonly task: SpeechTask };

export type ThreadRequest =
  | { readonly id: number; readonly call: ThreadCall }
  | { readonly id: number; readonly call: { readonly kind: "abort" } };

export interface SpeechAnswer {
  readonly result: TranscriptionResult;
  readonly tokens: number;
}

export type ThreadAnswer =
  | { readonly kind: "loaded"; readonly hasWordTimes: boolean }
  | { readonly kind: "unloadable"; readonly reason: string }
  | { readonly kind: "done"; readonly id: number; readonly value: unknown }
  | {
      readonly kind: "failed";
      readonly id: number;
      readonly code: EngineErrorCode;
      readonly message: string;
      /** What the library said, for the log. */
      readonly detail: string;
    };

type Model = TextModel | SpeechModel;

async function load(setup: ThreadSetup): Promise<Model> {
  const library = (await import(setup.packageUrl)) as typeof import("@huggingface/transformers");
  const { env, LogLevel } = library;
  // Everything was fetched and hashed before: what is not there must fail, not come from elsewhere.
  env.allowRemoteModels = false;
  env.useFSCache = false;
  env.useBrowserCache = false;
  env.fetch = () => Promise.reject(new Error("Models are read from the disk only"));
  // Failures come back as errors; its own lines would break `--json` logs.
  env.logLevel = LogLevel.NONE;
  const isSpeech = setup.task === "transcription";
  return isSpeech ? SpeechModel.load(library, setup) : TextModel.load(library, setup);
}

const aborts = new Map<number, AbortController>();

async function answer(model: Model, id: number, call: ThreadCall): Promise<ThreadAnswer> {
  const abort = new AbortController();
  aborts.set(id, abort);
  try {
    const value = await perform(model, call, abort.signal);
    return { kind: "done", id, value };
  } catch (error) {
    if (error instanceof EngineError) {
      const { code, message } = error;
      return { kind: "failed", id, code, message, detail: message };
    }
    const message = "The model failed while computing";
    return { kind: "failed", id, code: "engine_failed", message, detail: firstLine(error) };
  } finally {
    aborts.delete(id);
  }
}

function perform(model: Model, call: ThreadCall, signal: AbortSignal): unknown {
  switch (call.kind) {
    case "tokenizePlain":
      return model.tokenizePlain(call.text);
    case "transcribe":
      if (model instanceof SpeechModel) return model.transcribe(call.task, signal);
      break;
    case "tokenize":
      if (model instanceof TextModel) return model.tokenize(call.texts);
      break;
    case "tokenizePairs":
      if (model instanceof TextModel) return model.tokenizePairs(call.query, call.texts);
      break;
    case "rows":
      if (model instanceof TextModel) return model.rows(call.items);
      break;
  }
  throw new EngineError("invalid_request", `Cannot ${call.kind}: this model does not do that`);
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return (text.split("\n")[0] ?? "").slice(0, 300);
}

/** Calls run in the order they come: one at a time has the whole machine. */
async function serve(port: NonNullable<typeof parentPort>): Promise<void> {
  const say = (message: ThreadAnswer): void => port.postMessage(message);
  let model: Model;
  try {
    model = await load(threadSetupSchema.parse(workerData));
  } catch (error) {
    say({ kind: "unloadable", reason: firstLine(error) });
    return;
  }
  let last: Promise<void> = Promise.resolve();
  port.on("message", ({ id, call }: ThreadRequest) => {
    if (call.kind === "abort") {
      aborts.get(id)?.abort();
      return;
    }
    last = last.then(async () => say(await answer(model, id, call)));
  });
  say({ kind: "loaded", hasWordTimes: model instanceof SpeechModel && model.hasWordTimes });
}

// Without a port the file was only imported for its types.
if (parentPort !== null) await serve(parentPort);
