import { assert } from "../../../shared/assert.ts";
import type { ToolCallDelta } from "../../../shared/openai/output.ts";
import { ToolCallReader } from "./tool-call-reader.ts";
import type { ToolFormat } from "./tool-format.ts";
import { triggerOf } from "./tool-format.ts";

interface SeenToken {
  readonly id: number;
  /** Where its text begins, counted from the beginning of the answer. */
  readonly start: number;
  readonly text: string;
}

/** A call that a model seems to begin in free text. */
export interface CallBeginning {
  /** What the first of `tokens` wrote before the call. */
  readonly lead: string;
  readonly tokens: readonly number[];
}

/** What one token's text is, once it is known. */
export interface WatchedText {
  readonly content: string;
  readonly calls: ToolCallDelta[];
}

const nothing: ToolCallDelta[] = [];

/**
 * Splits an answer's text into content and calls of tools.
 *
 * W1. No part of a call leaves as content: what may begin one is held back until it is known, with
 *     the white space before it.
 * W2. A call is read only under its grammar: `beginning` asks for it, and `begin` or `ignore`
 *     answers before the next token is pushed.
 */
export class ToolWatch {
  readonly #format: ToolFormat;
  readonly #names: readonly string[];
  readonly #trigger: string;
  #reader: ToolCallReader | null = null;
  #held = "";
  #length = 0;
  #tokens: SeenToken[] = [];
  #beginning: CallBeginning | null = null;
  #hasCalls = false;

  constructor(format: ToolFormat, names: readonly string[], isCalling: boolean) {
    this.#format = format;
    this.#names = names;
    this.#trigger = triggerOf(format);
    if (isCalling) this.#reader = new ToolCallReader(format, names);
  }

  /** Whether what comes is read as calls. */
  get isCalling(): boolean {
    return this.#reader !== null;
  }

  /** Whether any call has been read so far. */
  get hasCalls(): boolean {
    return this.#hasCalls;
  }

  /** All that can be called was called: nothing may follow but the end. */
  isComplete(isParallel: boolean): boolean {
    return !isParallel && this.#format.sectionEnd === "" && (this.#reader?.isBetweenCalls ?? false);
  }

  /** A call that seems to begin: the grammar decides whether it does. */
  get beginning(): CallBeginning | null {
    return this.#beginning;
  }

  push(id: number, text: string): WatchedText {
    if (this.#reader !== null) return this.#read(text);
    this.#tokens.push({ id, start: this.#length, text });
    this.#length += text.length;
    this.#held += text;
    const at = this.#held.indexOf(this.#trigger);
    if (at >= 0) this.#beginning = this.#beginningAt(at);
    const free = at >= 0 ? this.#held.slice(0, at).trimEnd().length : this.#freeLength();
    return { content: this.#leave(free), calls: nothing };
  }

  /** The beginning was a call's: its text so far is read as one. */
  begin(): ToolCallDelta[] {
    this.#beginning = null;
    this.#reader = new ToolCallReader(this.#format, this.#names);
    const text = this.#held.trimStart();
    this.#held = "";
    return this.#read(text).calls;
  }

  /** It was none: its text is content. */
  ignore(): string {
    this.#beginning = null;
    return this.#leave(this.#held.length);
  }

  /** What is still held back when the answer ends. */
  finish(text: string): WatchedText {
    if (this.#reader !== null) return this.#read(text);
    this.#held += text;
    return { content: this.#leave(this.#held.length), calls: nothing };
  }

  #read(text: string): WatchedText {
    const calls = this.#reader?.push(text) ?? nothing;
    if (calls.length > 0) this.#hasCalls = true;
    return { content: "", calls };
  }

  #leave(length: number): string {
    const content = this.#held.slice(0, length);
    this.#held = this.#held.slice(length);
    const heldStart = this.#length - this.#held.length;
    // The token in which the held text begins is the last one that begins at or before it.
    while ((this.#tokens[1]?.start ?? Number.POSITIVE_INFINITY) <= heldStart) this.#tokens.shift();
    return content;
  }

  #beginningAt(at: number): CallBeginning {
    const from = this.#length - this.#held.length + at;
    const first = this.#tokens.findLastIndex(({ start }) => start <= from);
    const [leading, ...others] = this.#tokens.slice(Math.max(0, first));
    assert(leading !== undefined, "text that is held back came with a token");
    const lead = leading.text.slice(0, from - leading.start);
    return { lead, tokens: [leading.id, ...others.map(({ id }) => id)] };
  }

  /** How much of what is held can be no beginning of a call. */
  #freeLength(): number {
    for (let size = Math.min(this.#trigger.length - 1, this.#held.length); size > 0; size--) {
      if (!this.#trigger.startsWith(this.#held.slice(-size))) continue;
      return this.#held.slice(0, -size).trimEnd().length;
    }
    return this.#held.trimEnd().length;
  }
}
