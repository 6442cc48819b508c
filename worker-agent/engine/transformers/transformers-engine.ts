import type { Ability } from "../../../shared/openai/demands.ts";
import type { FolderModel } from "../../models/folder-model.ts";
import { cannot } from "../cannot.ts";
import type {
  Engine,
  EngineEvent,
  EngineHealth,
  EngineModel,
  EngineStats,
  GenerateTask,
  ResultAnswer,
  ResultTask,
} from "../engine.ts";
import { EngineError } from "../engine.ts";
import { MicroBatcher } from "../embedded/micro-batch.ts";
import type { ThreadCalls } from "./transformers-calls.ts";
import { rankLabels, relevance, shorten, vectorToBase64 } from "./transformers-scores.ts";
import type { Encoded } from "./transformers-text.ts";
import type { SpeechAnswer } from "./transformers-thread.ts";

/*
 * ONNX models through transformers.js, on a thread of their own.
 *
 * X1. A text is never cut: one that is too long fails its task with `context_length_exceeded`.
 * X2. Texts of all tasks share batches, and a batch that fails is taken apart.
 * X3. Prompt tokens are those the model reads, its special ones included, and no padding.
 */

/** A network's rule for gathering: 10 ms or 64 items, whichever is first. */
const gathering = { itemsMax: 64, waitMs: 10 } as const;
/** Bounds what one run holds in memory: attention grows with the square of a text's length. */
const paddedMax = 16_384;

/** Whisper's encoder makes 50 frames of a second; other speech models have like rates. */
const tokensPerSecond = 50;
/** What a slot may be held for: two hours of sound. */
const audioSecondsMax = 7_200;
export const audioContextTokens = tokensPerSecond * audioSecondsMax;

type TextResultTask = Extract<ResultTask, { kind: "embedding" | "rerank" | "classification" }>;
type TaskOf<Kind extends ResultTask["kind"]> = Extract<ResultTask, { kind: Kind }>["request"];

export class TransformersEngine implements Engine {
  readonly kind = "transformers";
  readonly model: EngineModel;
  readonly #folder: FolderModel;
  readonly #calls: ThreadCalls;
  readonly #batcher: MicroBatcher<Encoded, Float32Array>;
  #running = 0;

  constructor(
    folder: FolderModel,
    calls: ThreadCalls,
    model: Omit<EngineModel, "abilities"> & { readonly hasWordTimes: boolean },
  ) {
    const { hasWordTimes, ...shape } = model;
    this.model = { ...shape, abilities: abilitiesOf(folder, hasWordTimes) };
    this.#folder = folder;
    this.#calls = calls;
    this.#batcher = new MicroBatcher({
      limits: { ...gathering, paddedMax },
      sizeOf: ({ ids }) => Math.max(1, ids.length),
      // A batch belongs to many tasks: none of them may stop it.
      // Tasks that are in the engine but not here yet are being tokenized.
      expectsMore: (waitingTasks) => this.#running > waitingTasks,
      run: (items) => calls.call<Float32Array[]>({ kind: "rows", items }, neverAborted),
    });
  }

  generate(task: GenerateTask): AsyncIterable<EngineEvent> {
    throw cannot(`serve a task of the kind ${task.kind}`);
  }

  async perform(task: ResultTask, signal: AbortSignal): Promise<ResultAnswer> {
    signal.throwIfAborted();
    this.#running += 1;
    try {
      return await this.#perform(task, signal);
    } finally {
      this.#running -= 1;
    }
  }

  tokenize(text: string, signal: AbortSignal): Promise<readonly number[]> {
    return this.#calls.call({ kind: "tokenizePlain", text }, signal);
  }

  health(): Promise<EngineHealth> {
    const { fault } = this.#calls;
    if (fault === null) return Promise.resolve({ kind: "ready" });
    return Promise.resolve({ kind: "failing", reason: `The ONNX model cannot compute: ${fault}` });
  }

  stats(): EngineStats {
    return { running: this.#running, waiting: 0, memoryBytes: this.#folder.weightBytes };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#batcher.close(new EngineError("engine_failed", "The model was unloaded"));
    await this.#calls.close();
  }

  #perform(task: ResultTask, signal: AbortSignal): Promise<ResultAnswer> {
    if (task.kind === "image" || kindByTask[this.#folder.task] !== task.kind) {
      throw cannot(`serve a task of the kind ${task.kind}`);
    }
    switch (task.kind) {
      case "embedding":
        return this.#embed(task.request, signal);
      case "rerank":
        return this.#rerank(task.request, signal);
      case "classification":
        return this.#classify(task.request, signal);
      case "transcription":
        return this.#transcribe(task.request, signal);
    }
  }

  async #embed(request: TaskOf<"embedding">, signal: AbortSignal): Promise<ResultAnswer> {
    const { dimensions } = request;
    const { shorterLengths } = this.#folder;
    if (typeof dimensions === "number" && !shorterLengths.includes(dimensions)) {
      const rule =
        shorterLengths.length === 0
          ? "its vectors have one length"
          : `its lengths are ${shorterLengths.join(", ")}`;
      const message = `Cannot make vectors of ${dimensions} numbers with this model: ${rule}`;
      throw new EngineError("invalid_request", message);
    }
    const texts = typeof request.input === "string" ? [request.input] : request.input;
    const items = await this.#calls.call<Encoded[]>({ kind: "tokenize", texts }, signal);
    const { rows, prompt } = await this.#rows(items, "input", signal);
    const cut = (row: Float32Array): Float32Array =>
      typeof dimensions === "number" ? shorten(row, dimensions) : row;
    return document({ vectors: rows.map((row) => vectorToBase64(cut(row))) }, prompt);
  }

  async #rerank(request: TaskOf<"rerank">, signal: AbortSignal): Promise<ResultAnswer> {
    const { query, documents: texts } = request;
    const call = { kind: "tokenizePairs", query, texts } as const;
    const items = await this.#calls.call<Encoded[]>(call, signal);
    const { rows, prompt } = await this.#rows(items, "document", signal);
    return document({ scores: rows.map((row) => relevance([...row])) }, prompt);
  }

  async #classify(request: TaskOf<"classification">, signal: AbortSignal): Promise<ResultAnswer> {
    const texts = typeof request.input === "string" ? [request.input] : request.input;
    const items = await this.#calls.call<Encoded[]>({ kind: "tokenize", texts }, signal);
    const { rows, prompt } = await this.#rows(items, "input", signal);
    return document({ labels: rows.map((row) => rankLabels([...row], this.#folder)) }, prompt);
  }

  async #transcribe(request: TaskOf<"transcription">, signal: AbortSignal): Promise<ResultAnswer> {
    if ((request.prompt ?? "") !== "") {
      const message = "Cannot follow a prompt: this model hears without one; leave it out";
      throw new EngineError("invalid_request", message);
    }
    const task = {
      file: Uint8Array.from(Buffer.from(request.audio, "base64")),
      language: request.language ?? null,
      temperature: request.temperature ?? 0,
      wantsWords: (request.timestamp_granularities ?? []).includes("word"),
      secondsMax: audioSecondsMax,
    };
    const call = { kind: "transcribe", task } as const;
    const { result, tokens } = await this.#calls.call<SpeechAnswer>(call, signal);
    const prompt = tokensPerSecond * Math.ceil(result.duration_s);
    return { result, usage: { prompt, completion: tokens, cached: 0 } };
  }

  async #rows(
    items: readonly Encoded[],
    what: "input" | "document",
    signal: AbortSignal,
  ): Promise<{ rows: readonly Float32Array[]; prompt: number }> {
    const { contextTokens } = this.model;
    let prompt = 0;
    for (const [at, { ids }] of items.entries()) {
      prompt += ids.length;
      if (ids.length <= contextTokens) continue;
      const rule = `it has ${ids.length} tokens and the model reads ${contextTokens}`;
      throw new EngineError("context_length_exceeded", `Cannot read ${what} ${at}: ${rule}`);
    }
    return { rows: await this.#batcher.add(items, signal), prompt };
  }
}

const neverAborted = new AbortController().signal;

const kindByTask = {
  embeddings: "embedding",
  rerank: "rerank",
  classification: "classification",
  transcription: "transcription",
} as const satisfies Record<
  FolderModel["task"],
  (TextResultTask | { kind: "transcription" })["kind"]
>;

function document(result: ResultAnswer["result"], prompt: number): ResultAnswer {
  return { result, usage: { prompt, completion: 0, cached: 0 } };
}

function abilitiesOf({ task, shorterLengths }: FolderModel, hasWordTimes: boolean): Ability[] {
  const more: Ability[] = [];
  if (task === "embeddings" && shorterLengths.length > 0) more.push("embedding_dimensions");
  if (task === "transcription") more.push("audio:wav");
  if (task === "transcription" && hasWordTimes) more.push("word_timestamps");
  return [task, ...more];
}
