import { randomBytes } from "node:crypto";
import type { ToolCallDelta } from "../../../shared/openai/output.ts";
import type { ToolFormat } from "./tool-format.ts";
import { openingOf } from "./tool-format.ts";

type Place = "opening" | "name" | "arguments" | "after";

/**
 * Reads calls of tools from text that follows the grammar of `tool-grammar.ts`, as it comes: a
 * call's id and name once, then its arguments in pieces.
 */
export class ToolCallReader {
  readonly #format: ToolFormat;
  readonly #names: readonly string[];
  readonly #opening: string;
  #place: Place = "opening";
  #text = "";
  #index = 0;
  #depth = 0;
  #isInString = false;
  #isEscaped = false;

  constructor(format: ToolFormat, names: readonly string[]) {
    this.#format = format;
    this.#names = names;
    this.#opening = openingOf(format);
  }

  /** A call is complete and no other has begun. */
  get isBetweenCalls(): boolean {
    return this.#place === "after" && this.#text.startsWith(this.#format.suffix);
  }

  push(text: string): ToolCallDelta[] {
    this.#text += text;
    const deltas: ToolCallDelta[] = [];
    while (this.#step(deltas)) continue;
    return deltas;
  }

  /** Reads one thing more; false where the text does not reach for it. */
  #step(deltas: ToolCallDelta[]): boolean {
    switch (this.#place) {
      case "opening":
        return this.#skip(this.#opening, "name");
      case "name":
        return this.#readName(deltas);
      case "arguments":
        return this.#readArguments(deltas);
      case "after": {
        const { suffix, between, prefix } = this.#format;
        const isNext = between !== null && this.#skip(suffix + between + prefix, "name");
        if (isNext) this.#index += 1;
        return isNext;
      }
    }
  }

  #skip(literal: string, next: Place): boolean {
    if (!this.#text.startsWith(literal)) return false;
    this.#text = this.#text.slice(literal.length);
    this.#place = next;
    return true;
  }

  #readName(deltas: ToolCallDelta[]): boolean {
    const name = this.#names.find((one) => this.#text.startsWith(one + this.#format.paramsPrefix));
    if (name === undefined) return false;
    this.#skip(name + this.#format.paramsPrefix, "arguments");
    const id = `call_${randomBytes(12).toString("hex")}`;
    deltas.push({ index: this.#index, id, name, arguments: "" });
    return true;
  }

  #readArguments(deltas: ToolCallDelta[]): boolean {
    let at = 0;
    let isOver = false;
    for (; at < this.#text.length && !isOver; at++) isOver = this.#closes(this.#text.charAt(at));
    const piece = this.#text.slice(0, at);
    this.#text = this.#text.slice(at);
    if (piece !== "") append(deltas, { index: this.#index, arguments: piece });
    if (isOver) this.#place = "after";
    return isOver;
  }

  /** Whether this character ends the arguments, which are one JSON object. */
  #closes(character: string): boolean {
    if (this.#isInString) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (character === "\\") this.#isEscaped = true;
      else if (character === '"') this.#isInString = false;
      return false;
    }
    if (character === '"') this.#isInString = true;
    else if (character === "{" || character === "[") this.#depth += 1;
    else if (character === "}" || character === "]") this.#depth -= 1;
    return this.#depth === 0 && character === "}";
  }
}

function append(deltas: ToolCallDelta[], piece: { index: number; arguments: string }): void {
  const last = deltas.at(-1);
  if (last?.index === piece.index) last.arguments = (last.arguments ?? "") + piece.arguments;
  else deltas.push(piece);
}
