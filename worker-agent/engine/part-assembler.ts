import type { OutputPart, TokenLogprob, ToolCallDelta } from "../../shared/openai/output.ts";
import type { EngineEvent } from "./engine.ts";

export type PartEvent = Extract<EngineEvent, { kind: "part" }>;

/** A token as the assembler takes it. */
export interface MadeToken {
  readonly id: number;
  /** Its whole characters that are content. */
  readonly text: string;
  readonly logprob: TokenLogprob | null;
  readonly calls?: ToolCallDelta[];
}

/**
 * Turns one choice's tokens into parts.
 *
 * P1. No text of a stop sequence ever leaves: what may be the beginning of one is held back until
 *     it is known.
 * P2. A token is counted exactly once, with the first text that leaves after it.
 * P3. A log probability leaves with its token's count, and not at all where the token lies wholly
 *     in a stop sequence.
 * P4. A stop sequence that began in the text given at the start ends the answer too; of it only
 *     what is new can be kept back.
 */
export class PartAssembler {
  readonly #index: number;
  readonly #stops: readonly string[];
  /** The end of the text that left before, while a stop sequence may still begin in it. */
  #before: string;
  #held = "";
  #tokenIds: number[] = [];
  #logprobs: { readonly entry: TokenLogprob; readonly start: number }[] = [];
  /** Characters of the whole answer so far, held ones included. */
  #length = 0;
  #isStopped = false;

  /**
   * `given` is the beginning of the answer that left before, and what its tokens spell beyond that.
   */
  constructor(
    index: number,
    stops: readonly string[],
    given: { readonly text: string; readonly surplus: string } = { text: "", surplus: "" },
  ) {
    this.#index = index;
    this.#stops = stops;
    const longest = Math.max(1, ...stops.map((stop) => stop.length));
    this.#before = longest > 1 ? given.text.slice(1 - longest) : "";
    this.#held = given.surplus;
    this.#length = given.surplus.length;
  }

  /** A stop sequence was met: nothing after it may be added. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** One more token; the part that may leave now, if any. */
  add({ id, text, logprob, calls }: MadeToken): PartEvent | null {
    this.#tokenIds.push(id);
    if (logprob !== null) this.#logprobs.push({ entry: logprob, start: this.#length });
    return this.append(text, calls);
  }

  /** Text and pieces of calls without a token of their own. */
  append(text: string, calls?: ToolCallDelta[]): PartEvent | null {
    if (calls === undefined || calls.length === 0) return this.#append(text);
    // Content before a call is over: what was held back for a stop sequence is none.
    const content = text === "" && this.#held === "" ? "" : this.#content(text);
    return this.#part(content, calls);
  }

  #content(text: string): string {
    this.#length += text.length;
    const all = this.#held + text;
    this.#held = "";
    return all;
  }

  /**
   * The last part: what was held back, and tokens not counted yet. `text` is what the decoder still
   * had.
   */
  finish(text: string): PartEvent | null {
    const part = this.#isStopped || text === "" ? null : this.#append(text);
    const rest = this.#isStopped ? "" : this.#held;
    this.#held = "";
    if (part === null) return this.#part(rest);
    if (rest === "") return part;
    return { ...part, part: { ...part.part, text: (part.part.text ?? "") + rest } };
  }

  #append(text: string): PartEvent | null {
    this.#length += text.length;
    if (this.#stops.length === 0 && this.#held === "") {
      return text === "" ? null : this.#part(text);
    }
    this.#held += text;
    const stopAt = this.#firstStop();
    if (stopAt !== null) return this.#stop(stopAt);
    const keep = this.#heldLength();
    const free = this.#held.slice(0, this.#held.length - keep);
    this.#held = this.#held.slice(this.#held.length - keep);
    if (free === "") return null;
    this.#before = "";
    return this.#part(free);
  }

  #stop(at: number): PartEvent | null {
    this.#isStopped = true;
    const stopStart = this.#length - this.#held.length + at;
    this.#logprobs = this.#logprobs.filter(({ start }) => start < stopStart);
    const text = this.#held.slice(0, at);
    this.#held = "";
    return this.#part(text);
  }

  #part(text: string, calls?: ToolCallDelta[]): PartEvent | null {
    const tokens = this.#tokenIds.length;
    if (text === "" && tokens === 0 && calls === undefined) return null;
    const part: OutputPart = { index: this.#index, tokens };
    if (text !== "") part.text = text;
    if (calls !== undefined) part.tool_calls = calls;
    if (this.#logprobs.length > 0) {
      part.logprobs = this.#logprobs.map(({ entry }) => entry);
      this.#logprobs = [];
    }
    const tokenIds = this.#tokenIds;
    this.#tokenIds = [];
    return { kind: "part", part, tokenIds };
  }

  #firstStop(): number | null {
    let first: number | null = null;
    const all = this.#before + this.#held;
    for (const stop of this.#stops) {
      const at = all.indexOf(stop);
      if (at >= 0 && (first === null || at < first)) first = at;
    }
    return first === null ? null : Math.max(0, first - this.#before.length);
  }

  /** How many characters at the end may be the beginning of a stop sequence. */
  #heldLength(): number {
    let longest = 0;
    const all = this.#before + this.#held;
    for (const stop of this.#stops) {
      for (let size = Math.min(stop.length - 1, all.length); size > longest; size--) {
        if (stop.startsWith(all.slice(-size))) longest = size;
      }
    }
    return Math.min(longest, this.#held.length);
  }
}
