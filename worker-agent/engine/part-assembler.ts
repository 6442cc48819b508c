import type { OutputPart, TokenLogprob } from "../../shared/openai/output.ts";

/**
 * Turns one choice's tokens into parts.
 *
 * P1. No text of a stop sequence ever leaves: what may be the beginning of one is held back until
 *     it is known.
 * P2. A token is counted exactly once, with the first text that leaves after it.
 * P3. A log probability leaves with its token's count, and not at all where the token lies wholly
 *     in a stop sequence.
 */
export class PartAssembler {
  readonly #index: number;
  readonly #stops: readonly string[];
  #held = "";
  #tokens = 0;
  #logprobs: { readonly entry: TokenLogprob; readonly start: number }[] = [];
  /** Characters of the whole answer so far, held ones included. */
  #length = 0;
  #isStopped = false;

  constructor(index: number, stops: readonly string[]) {
    this.#index = index;
    this.#stops = stops;
  }

  /** A stop sequence was met: nothing after it may be added. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** One more token, whose whole characters are `text`; the part that may leave now, if any. */
  add(text: string, logprob: TokenLogprob | null): OutputPart | null {
    this.#tokens++;
    if (logprob !== null) this.#logprobs.push({ entry: logprob, start: this.#length });
    return this.#append(text);
  }

  /**
   * The last part: what was held back, and tokens not counted yet. `text` is what the decoder still
   * had.
   */
  finish(text: string): OutputPart | null {
    const part = this.#isStopped || text === "" ? null : this.#append(text);
    const rest = this.#isStopped ? "" : this.#held;
    this.#held = "";
    if (part === null) return this.#part(rest);
    return rest === "" ? part : { ...part, text: (part.text ?? "") + rest };
  }

  #append(text: string): OutputPart | null {
    this.#length += text.length;
    if (this.#stops.length === 0) return text === "" ? null : this.#part(text);
    this.#held += text;
    const stopAt = this.#firstStop();
    if (stopAt !== null) return this.#stop(stopAt);
    const keep = this.#heldLength();
    const free = this.#held.slice(0, this.#held.length - keep);
    this.#held = this.#held.slice(this.#held.length - keep);
    return free === "" ? null : this.#part(free);
  }

  #stop(at: number): OutputPart | null {
    this.#isStopped = true;
    const stopStart = this.#length - this.#held.length + at;
    this.#logprobs = this.#logprobs.filter(({ start }) => start < stopStart);
    const text = this.#held.slice(0, at);
    this.#held = "";
    return this.#part(text);
  }

  #part(text: string): OutputPart | null {
    if (text === "" && this.#tokens === 0) return null;
    const part: OutputPart = { index: this.#index, tokens: this.#tokens };
    if (text !== "") part.text = text;
    if (this.#logprobs.length > 0) part.logprobs = this.#logprobs.map(({ entry }) => entry);
    this.#tokens = 0;
    this.#logprobs = [];
    return part;
  }

  #firstStop(): number | null {
    let first: number | null = null;
    for (const stop of this.#stops) {
      const at = this.#held.indexOf(stop);
      if (at >= 0 && (first === null || at < first)) first = at;
    }
    return first;
  }

  /** How many characters at the end may be the beginning of a stop sequence. */
  #heldLength(): number {
    let longest = 0;
    for (const stop of this.#stops) {
      for (let size = Math.min(stop.length - 1, this.#held.length); size > longest; size--) {
        if (stop.startsWith(this.#held.slice(-size))) longest = size;
      }
    }
    return longest;
  }
}
