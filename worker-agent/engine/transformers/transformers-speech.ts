import type {
  PreTrainedModel,
  PreTrainedTokenizer,
  Processor,
  Tensor,
} from "@huggingface/transformers";
import type { TranscriptionResult } from "../../../shared/openai/results.ts";
import { EngineError } from "../engine.ts";
import { resample } from "./transformers-resample.ts";
import { floatsOf, loadOptions, localOnly } from "./transformers-text.ts";
import type { SpeechAnswer, ThreadSetup } from "./transformers-thread.ts";
import { readWav } from "./transformers-wav.ts";
import { WhisperModel } from "./transformers-whisper.ts";

type Library = typeof import("@huggingface/transformers");

export interface SpeechTask {
  readonly file: Uint8Array;
  /** ISO 639-1, or null for the model to find out. */
  readonly language: string | null;
  readonly temperature: number;
  readonly wantsWords: boolean;
  /** More sound is refused. */
  readonly secondsMax: number;
}

/** What a model hears at once, and how much of it on each side only gives it context. */
const windowSeconds = 30;
const marginSeconds = 5;

/** The parts of any speech model. */
export interface SpeechParts {
  readonly model: PreTrainedModel;
  readonly tokenizer: PreTrainedTokenizer;
  readonly processor: Processor;
}

export type Heard = Pick<TranscriptionResult, "text" | "language" | "segments" | "words">;

/** A model that writes down speech: one with CTC, or one with a decoder as Whisper has. */
export class SpeechModel {
  readonly #parts: SpeechParts;
  readonly #whisper: WhisperModel | null;
  readonly #rate: number;

  private constructor(parts: SpeechParts, whisper: WhisperModel | null) {
    this.#parts = parts;
    this.#whisper = whisper;
    const config = parts.processor.feature_extractor?.config as { sampling_rate?: number };
    this.#rate = config.sampling_rate ?? 16_000;
  }

  static async load(library: Library, setup: ThreadSetup): Promise<SpeechModel> {
    const { folder } = setup;
    const options = loadOptions(setup);
    const config = await library.AutoConfig.from_pretrained(folder, localOnly);
    const hasDecoder = ["whisper", "lite-whisper", "moonshine"].includes(String(config.model_type));
    const model = hasDecoder
      ? await library.AutoModelForSpeechSeq2Seq.from_pretrained(folder, options)
      : await library.AutoModelForCTC.from_pretrained(folder, options);
    const tokenizer = await library.AutoTokenizer.from_pretrained(folder, localOnly);
    const processor = await library.AutoProcessor.from_pretrained(folder, localOnly);
    const parts = { model, tokenizer, processor };
    return new SpeechModel(parts, hasDecoder ? new WhisperModel(library, parts) : null);
  }

  get hasWordTimes(): boolean {
    return this.#whisper?.hasWordTimes ?? false;
  }

  tokenizePlain(text: string): number[] {
    const options = { return_tensor: false, add_special_tokens: false } as const;
    return this.#parts.tokenizer(text, options).input_ids;
  }

  async transcribe(task: SpeechTask, signal: AbortSignal): Promise<SpeechAnswer> {
    const sound = readWav(task.file);
    const seconds = sound.samples.length / sound.rate;
    if (seconds > task.secondsMax) {
      const rule = `it lasts ${Math.ceil(seconds)} seconds, the most is ${task.secondsMax}`;
      throw new EngineError("context_length_exceeded", `Cannot transcribe the audio: ${rule}`);
    }
    if (sound.samples.length === 0) {
      throw new EngineError("invalid_request", "Cannot transcribe the audio: it has no sound");
    }
    const samples = resample(sound, this.#rate);
    const heard =
      this.#whisper === null
        ? await this.#hear(samples, signal)
        : await this.#whisper.hear(samples, { ...task, rate: this.#rate, signal });
    const tokens = heard.text === "" ? 0 : this.tokenizePlain(heard.text).length;
    return { result: { ...heard, duration_s: seconds }, tokens };
  }

  /** Window after window; frames of the margins are the neighbours' to tell. */
  async #hear(samples: Float32Array, signal: AbortSignal): Promise<Heard> {
    const ids: number[] = [];
    for (const window of windowsOf(samples.length, this.#rate)) {
      signal.throwIfAborted();
      const piece = samples.subarray(window.start, window.end);
      const frames = await this.#frames(piece);
      const perFrame = piece.length / frames.length;
      const first = Math.round((window.keepFrom - window.start) / perFrame);
      const last = Math.round((window.keepTo - window.start) / perFrame);
      ids.push(...frames.slice(first, last));
    }
    return { text: this.#spell(ids), language: null, segments: null, words: null };
  }

  /**
   * The text of the frames' tokens: repeats are one, unless a blank parts them (Graves 2006). The
   * library would drop the blanks first, and with them every double letter.
   */
  #spell(ids: readonly number[]): string {
    const { tokenizer, model } = this.#parts;
    const blank =
      (model.config as { pad_token_id?: number }).pad_token_id ?? tokenizer.pad_token_id;
    const once = ids.filter((id, at) => id !== ids[at - 1]);
    // A decoder of the kind CTC joins repeats again: the blanks that part them must stay.
    const isJoining = tokenizer._tokenizerJSON.decoder?.type === "CTC";
    const special = new Set(tokenizer.all_special_ids);
    const kept = once.filter((id) => (id === blank ? isJoining : !special.has(id)));
    return tokenizer.decode(kept, { skip_special_tokens: false }).trim();
  }

  /** The likeliest token of each frame. */
  async #frames(samples: Float32Array): Promise<number[]> {
    const inputs: unknown = await this.#parts.processor(samples);
    const { logits } = (await this.#parts.model(inputs)) as { logits: Tensor };
    const values = floatsOf(logits);
    const [, frames = 0, width = 0] = logits.dims;
    return Array.from({ length: frames }, (_, frame) =>
      likeliest(values.subarray(frame * width, (frame + 1) * width)),
    );
  }
}

interface Window {
  readonly start: number;
  readonly end: number;
  readonly keepFrom: number;
  readonly keepTo: number;
}

/** Windows that overlap by their margins; what they keep covers the sound without a gap. */
export function windowsOf(length: number, rate: number): Window[] {
  const [window, margin] = [windowSeconds * rate, marginSeconds * rate];
  const windows: Window[] = [];
  for (let start = 0; ; start += window - 2 * margin) {
    const end = Math.min(start + window, length);
    const isLast = end === length;
    const keepFrom = start === 0 ? 0 : start + margin;
    windows.push({ start, end, keepFrom, keepTo: isLast ? end : end - margin });
    if (isLast) return windows;
  }
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  for (const [at, logit] of logits.entries()) if (logit > (logits[best] ?? 0)) best = at;
  return best;
}
