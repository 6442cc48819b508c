import type { Llama, LlamaContext, LlamaGrammar, LlamaModel, Token } from "node-llama-cpp";
import { assert } from "../../../shared/assert.ts";
import type { Log } from "../../../shared/log.ts";
import { EmbeddedEngine } from "./embedded-engine.ts";
import { assertSameVocabulary, Draft } from "./embedded-llama-draft.ts";
import { EmbeddedGrammar } from "./embedded-llama-grammar.ts";
import { openPooled, pooledKindOf } from "./embedded-llama-pooled.ts";
import type { EmbeddedTemplate } from "./embedded-llama-prompt.ts";
import { createTemplate, withBeginning } from "./embedded-llama-prompt.ts";
import { batchTokens, EmbeddedSequence } from "./embedded-llama-sequence.ts";
import type { EngineBackend, LoadedModel, PooledModel } from "./embedded-model.ts";
import type { ChatPrompt, ChatPromptRequest } from "./embedded-prompt.ts";
import type { EngineModel } from "../engine.ts";
import { EngineError } from "../engine.ts";
import type { ToolFormat } from "../tools/tool-format.ts";
import { commonToolFormat } from "../tools/tool-format.ts";

/*
 * The files named embedded-llama*.ts alone import node-llama-cpp, and only when an engine is
 * opened: loading it takes a third of a second.
 */

export interface EmbeddedOptions {
  readonly path: string;
  /** What was read from the file; the rest of the engine's description follows from it. */
  readonly model: Omit<EngineModel, "abilities">;
  readonly chatTemplate: string | null;
  /** Threads for decoding; null is the physical cores less one. */
  readonly threads: number | null;
  readonly gpu: "auto" | "none";
  /** A smaller model of the same vocabulary, whose guesses speed this one up. */
  readonly draft?: { readonly path: string } | null;
  readonly log: Log;
}

/** Loads the model and makes its context. Throws EngineError `out_of_memory` or `engine_failed`. */
export async function openEmbeddedEngine(
  options: EmbeddedOptions,
  signal: AbortSignal,
): Promise<EmbeddedEngine<LlamaGrammar, EmbeddedGrammar>> {
  const library = await import("node-llama-cpp");
  const { LlamaLogLevel, getLlama } = library;
  const isSevere: readonly string[] = [LlamaLogLevel.error, LlamaLogLevel.fatal];
  const llama = await getLlama({
    gpu: options.gpu === "none" ? false : "auto",
    // Never compile or download behind the provider's back: a missing binary is an error said at
    // once.
    build: "never",
    skipDownload: true,
    progressLogs: false,
    logLevel: LlamaLogLevel.warn,
    logger: (level, message) => {
      options.log(isSevere.includes(level) ? "error" : "warn", `llama.cpp: ${message.trim()}`);
    },
    // Splitting threads between generations is llama.cpp's to decide; the context's own number is
    // the limit.
    maxThreads: 0,
  });
  try {
    const loaded = await loadModel(library, llama, options, signal);
    const threads = threadsOf(llama, options);
    const devices = await llama.getGpuDeviceNames();
    const { backend } = loaded;
    const names = devices.length === 0 ? {} : { devices: devices.join(", ") };
    options.log("info", "Computing", { backend, ...names, threads });
    return new EmbeddedEngine(loaded, options.model);
  } catch (error) {
    await llama.dispose();
    throw loadError(error, options.path);
  }
}

type Library = typeof import("node-llama-cpp");

/** llama.cpp's threads spin while they wait: a full set of them starves everything else. */
function threadsOf(llama: Llama, options: EmbeddedOptions): number {
  return options.threads ?? Math.max(1, llama.cpuMathCores - 1);
}

async function loadModel(
  library: Library,
  llama: Llama,
  options: EmbeddedOptions,
  signal: AbortSignal,
): Promise<EmbeddedModel> {
  const model = await llama.loadModel({ modelPath: options.path, loadSignal: signal });
  const threads = threadsOf(llama, options);
  const shape = { contextSize: options.model.contextTokens, threads, createSignal: signal };
  const parts = { library, llama, model };
  const kind = pooledKindOf(model);
  if (kind !== null) {
    const pooled = await openPooled(model, kind, shape);
    return new EmbeddedModel({ ...parts, pooled, context: null, draft: null, template: null });
  }
  const { slots } = options.model;
  const batchSize = Math.min(batchTokens, shape.contextSize);
  const context = await model.createContext({ ...shape, sequences: slots, batchSize });
  const { draft: small = null } = options;
  const draft = small === null ? null : await loadDraft(small.path);
  const { chatTemplate, log } = options;
  const template = createTemplate(library, model, { template: chatTemplate, log });
  return new EmbeddedModel({ ...parts, pooled: null, context, draft, template });

  async function loadDraft(path: string): Promise<Draft> {
    const guesser = await llama.loadModel({ modelPath: path, loadSignal: signal });
    assertSameVocabulary(model, guesser, path);
    const own = await guesser.createContext({ ...shape, sequences: slots, batchSize });
    return new Draft(own);
  }
}

interface Loaded {
  readonly library: Library;
  readonly llama: Llama;
  readonly model: LlamaModel;
  readonly context: LlamaContext | null;
  readonly pooled: (PooledModel & { readonly memoryBytes: number }) | null;
  readonly draft: Draft | null;
  readonly template: EmbeddedTemplate | null;
}

class EmbeddedModel implements LoadedModel<LlamaGrammar, EmbeddedGrammar> {
  readonly sequences: readonly EmbeddedSequence[];
  readonly vocabulary: LoadedModel<LlamaGrammar, EmbeddedGrammar>["vocabulary"];
  readonly isChatModel: boolean;
  readonly pooled: PooledModel | null;
  readonly backend: EngineBackend;
  readonly toolFormat: ToolFormat;
  readonly toolMarks: ReadonlySet<Token>;
  readonly #loaded: Loaded;

  constructor(loaded: Loaded) {
    const { library, llama, model, context, template, draft } = loaded;
    this.#loaded = loaded;
    this.isChatModel = template !== null;
    this.pooled = loaded.pooled;
    this.backend = llama.gpu === false ? "cpu" : llama.gpu;
    const { ggml } = model.fileInfo.metadata.tokenizer;
    this.vocabulary = { tokens: ggml.tokens ?? [], kind: ggml.model };
    this.toolFormat = template?.toolFormat ?? commonToolFormat;
    const { section, prefix, paramsPrefix, suffix, between, sectionEnd } = this.toolFormat;
    const form = [section, prefix, paramsPrefix, suffix, between ?? "", sectionEnd].join("\n");
    const marks = model.tokenize(form, true).filter((token) => model.isSpecialToken(token));
    this.toolMarks = new Set(marks);
    const createPredictor = () => draft?.createPredictor() ?? null;
    this.sequences =
      context === null
        ? []
        : Array.from(
            { length: context.totalSequences },
            () => new EmbeddedSequence({ library, model, context, createPredictor }),
          );
  }

  chatPrompt(request: ChatPromptRequest): ChatPrompt {
    const { template } = this.#loaded;
    assert(template !== null, "only chat models are asked to chat");
    return template.prompt(request);
  }

  isEnd(token: Token): boolean {
    return this.#loaded.model.isEogToken(token);
  }

  textPrompt(text: string): Token[] {
    const { model } = this.#loaded;
    return withBeginning(model, model.tokenize(text));
  }

  tokensOf(text: string): Token[] {
    return this.#loaded.model.tokenize(text);
  }

  text(tokens: readonly Token[], before: readonly Token[]): string {
    return this.#loaded.model.detokenize(tokens, false, before);
  }

  tokenText(token: Token): string {
    return this.#loaded.model.detokenize([token], true);
  }

  compileGrammar(text: string): Promise<LlamaGrammar> {
    return this.#loaded.llama.createGrammar({ grammar: text });
  }

  beginGrammar(compiled: LlamaGrammar): EmbeddedGrammar {
    return new EmbeddedGrammar(this.#loaded.library, this.#loaded.model, compiled);
  }

  memoryBytes(): number {
    const { model, context, pooled, draft } = this.#loaded;
    const weights = model.memoryUsage;
    const caches = context?.memoryUsage ?? { ram: 0, vram: 0 };
    const others = (pooled?.memoryBytes ?? 0) + (draft?.memoryBytes ?? 0);
    return weights.ram + weights.vram + caches.ram + caches.vram + others;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { context, model, llama } = this.#loaded;
    await context?.dispose();
    await model.dispose();
    // With it go the contexts of the other models it holds.
    await llama.dispose();
  }
}

function loadError(cause: unknown, path: string): unknown {
  if (!(cause instanceof Error) || cause.name === "AbortError") return cause;
  if (cause instanceof EngineError) return cause;
  if (/insufficient memory|not enough|too large|out of memory|vram/i.test(cause.message)) {
    const message = `Cannot load ${path}: there is not enough memory for it (${cause.message})`;
    return new EngineError("out_of_memory", message, { cause });
  }
  const message = `Cannot load ${path}: ${cause.message}`;
  return new EngineError("engine_failed", message, { cause });
}
