import type { AutomaticSpeechRecognitionPipeline, Tensor } from "@huggingface/transformers";
import { EngineError } from "../engine.ts";
import type { Heard, SpeechParts } from "./transformers-speech.ts";
import { floatsOf } from "./transformers-text.ts";

type Library = typeof import("@huggingface/transformers");

export interface Listening {
  readonly language: string | null;
  readonly temperature: number;
  readonly wantsWords: boolean;
  readonly rate: number;
  readonly signal: AbortSignal;
}

/** Whisper was trained on half minutes; longer sound is cut into such, which overlap. */
const chunkSeconds = 30;
const strideSeconds = 5;

/** Refuses a language that the model was not trained on. */
function known(language: string, tokens: readonly (readonly [string, number])[]): string {
  const names = tokens.map(([token]) => token.replaceAll(/[<|>]/g, ""));
  if (names.includes(language)) return language;
  const rule = `it knows ${names.slice(0, namedMax).join(", ")}`;
  const more = names.length > namedMax ? ` and ${names.length - namedMax} more` : "";
  const message = `Cannot hear ${JSON.stringify(language)} with this model: ${rule}${more}`;
  throw new EngineError("invalid_request", message);
}

/** A sentence of a hundred languages helps nobody. */
const namedMax = 20;

interface WhisperConfig {
  readonly is_multilingual?: boolean;
  readonly lang_to_id?: Readonly<Record<string, number>>;
  readonly alignment_heads?: unknown;
  readonly decoder_start_token_id?: number;
}

interface Chunk {
  readonly timestamp: readonly [number, number | null];
  readonly text: string;
}

/** Whisper and its kin, through the library's own pipeline. */
export class WhisperModel {
  readonly #library: Library;
  readonly #parts: SpeechParts;
  readonly #config: WhisperConfig;
  /** Moonshine knows no times. */
  readonly #hasTimes: boolean;

  constructor(library: Library, parts: SpeechParts) {
    this.#library = library;
    this.#parts = parts;
    this.#config = (parts.model.configs?.["generation_config"] ?? {}) as WhisperConfig;
    this.#hasTimes = parts.model.config.model_type !== "moonshine";
  }

  /** Words get times from the decoder's attention, where the graph was made to show it. */
  get hasWordTimes(): boolean {
    const decoder = this.#parts.model.sessions["decoder_model_merged"] as { outputNames: string[] };
    const isShown = decoder.outputNames.some((name) => name.startsWith("cross_attentions"));
    return isShown && this.#config.alignment_heads !== undefined;
  }

  async hear(samples: Float32Array, listening: Listening): Promise<Heard> {
    const { signal, rate, temperature, wantsWords } = listening;
    const language = await this.#languageOf(samples, listening);
    const isLong = samples.length > chunkSeconds * rate;
    const options = {
      ...(this.#hasTimes ? { return_timestamps: wantsWords ? "word" : true } : {}),
      ...(isLong && this.#hasTimes
        ? { chunk_length_s: chunkSeconds, stride_length_s: strideSeconds }
        : {}),
      ...(language === null ? {} : { language, task: "transcribe" }),
      ...(temperature > 0 ? { do_sample: true, temperature } : {}),
    };
    const answer = (await this.#pipeline(signal)(samples, options as object)) as {
      text: string;
      chunks?: Chunk[];
    };
    const chunks = this.#timed(answer.chunks ?? [], samples.length / rate);
    const words = chunks.map(({ text, ...times }) => ({ ...times, word: text.trim() }));
    return {
      text: answer.text.trim(),
      language,
      segments: this.#hasTimes && !wantsWords ? chunks : null,
      words: wantsWords ? words : null,
    };
  }

  /** The pipeline with a model that stops between its chunks once aborted. */
  #pipeline(signal: AbortSignal): AutomaticSpeechRecognitionPipeline {
    const { model, tokenizer, processor } = this.#parts;
    const stoppable = new Proxy(model, {
      get: (target, name, receiver) => {
        if (name === "generate") signal.throwIfAborted();
        return Reflect.get(target, name, receiver) as unknown;
      },
    });
    const task = "automatic-speech-recognition";
    const parts = { task, model: stoppable, tokenizer, processor } as const;
    return new this.#library.AutomaticSpeechRecognitionPipeline(parts);
  }

  /** A chunk at the end of the sound may have no end of its own. */
  #timed(
    chunks: readonly Chunk[],
    seconds: number,
  ): { start: number; end: number; text: string }[] {
    return chunks.map(({ timestamp: [start, end], text }) => {
      const from = Math.min(Math.max(0, start), seconds);
      return { start: from, end: Math.max(from, Math.min(end ?? seconds, seconds)), text };
    });
  }

  /**
   * The language asked for, else the one whose token the model finds likeliest to come first: the
   * library itself would take English for granted. Null for a model of one language.
   */
  async #languageOf(samples: Float32Array, { language, rate }: Listening): Promise<string | null> {
    const tokens = Object.entries(this.#config.lang_to_id ?? {});
    if (this.#config.is_multilingual !== true || tokens.length === 0) return null;
    if (language !== null) return known(language, tokens);
    const inputs = (await this.#parts.processor(
      samples.subarray(0, chunkSeconds * rate),
    )) as object;
    const start = BigInt(this.#config.decoder_start_token_id ?? 0);
    const first = new this.#library.Tensor("int64", BigInt64Array.of(start), [1, 1]);
    const { logits } = (await this.#parts.model({ ...inputs, decoder_input_ids: first })) as {
      logits: Tensor;
    };
    const scores = floatsOf(logits);
    const [best] = tokens.toSorted(([, a], [, b]) => (scores[b] ?? 0) - (scores[a] ?? 0));
    return best?.[0].replaceAll(/[<|>]/g, "") ?? null;
  }
}
