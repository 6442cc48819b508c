import { events, inPieces, type Asked, type Reply } from "./recorded-server.ts";

/** What a fake model does with what it is asked; what it does not honour it ignores. */
export type Honoured =
  | "seed"
  | "logprobs"
  | "json"
  | "tools"
  | "vision"
  | "n"
  | "penalties"
  | "bias"
  | "prefix"
  | "effort";

export interface Answered {
  readonly index: number;
  readonly tokens: readonly string[];
  readonly reasoning: readonly string[];
  readonly call: { readonly name: string; readonly arguments: string } | null;
  readonly finish: string;
}

const counting =
  "one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen";

/** Words with the space before them, as tokenizers cut most text. */
export function tokensOf(text: string): string[] {
  return text.match(/\s*\S+\s*?/g) ?? [];
}

export function tokenId(token: string): number {
  return [...token].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) % 50_000, 7);
}

/** A deterministic model: small talk, counting, a red square, a tool, JSON. */
export class DialectModel {
  readonly #honoured: ReadonlySet<Honoured>;
  readonly #reasoning: readonly string[];
  #asked = 0;

  constructor(honoured: readonly Honoured[], reasoning: readonly string[] = []) {
    this.#honoured = new Set(honoured);
    this.#reasoning = reasoning;
  }

  answer(body: Asked["body"]): Answered[] {
    this.#asked += 1;
    const n = this.#honoured.has("n") ? Number(body["n"] ?? 1) : 1;
    return Array.from({ length: n }, (_, index) => this.#choice(body, index));
  }

  #choice(body: Asked["body"], index: number): Answered {
    const isTool = this.#honoured.has("tools") && Array.isArray(body["tools"]);
    if (isTool) {
      const call = { name: "get_weather", arguments: '{"city":"Rome"}' };
      return { index, tokens: [], reasoning: [], call, finish: "tool_calls" };
    }
    const max = Number(body["max_tokens"] ?? 1_000);
    const reasoning = this.#reasoning.slice(0, max);
    const all = tokensOf(this.#text(body));
    const tokens = all.slice(0, max - reasoning.length);
    const finish = tokens.length < all.length ? "length" : "stop";
    return { index, tokens, reasoning, call: null, finish };
  }

  #text(body: Asked["body"]): string {
    const honours = (what: Honoured) => this.#honoured.has(what);
    const messages = (body["messages"] ?? []) as { role: string; content: unknown }[];
    const words = JSON.stringify(messages);
    const last = messages.at(-1);
    const format = (body["response_format"] as { type?: string } | undefined)?.type;
    if (format === "json_schema" && honours("json")) return '{"code": "zebra-71"}';
    if (format === "json_object" && honours("json")) return '{"name": "x"}';
    if (words.includes("image_url")) return honours("vision") ? "Red." : "I see no square.";
    if (Number(body["temperature"] ?? 1) > 1)
      return this.#random(honours("seed") ? body["seed"] : null);
    if (body["frequency_penalty"] === 2 && honours("penalties")) return "once and never more";
    if (words.includes("Count")) {
      const begun = last?.role === "assistant" ? String(last.content) : "";
      return begun !== "" && honours("prefix") ? counting.slice(begun.length) : counting;
    }
    const bias = Object.keys((body["logit_bias"] ?? {}) as object);
    return bias.length > 0 && honours("bias") ? "Good day to you." : "Hello there, friend. 🦙";
  }

  #random(seed: unknown): string {
    const from = typeof seed === "number" ? seed : 1_000 + this.#asked;
    return Array.from({ length: 20 }, (_, at) => `w${(from * (at + 3)) % 97}`).join(" ");
  }
}

/** A stream's answer in pieces that end anywhere. */
export function streamed(chunks: readonly unknown[], bytes = 61): Reply {
  return { pieces: inPieces(events(chunks), bytes) };
}

/** A logprob's entry in a chat's form. */
export function entry(token: string) {
  const bytes = [...Buffer.from(token)];
  const top_logprobs = [
    { token, logprob: -0.25, bytes },
    { token: " other", logprob: -1.5, bytes: [...Buffer.from(" other")] },
  ];
  return { token, logprob: -0.25, bytes, top_logprobs };
}
