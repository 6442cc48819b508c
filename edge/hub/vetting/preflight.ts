import type { Ability } from "../../../shared/openai/demands.ts";
import { kindByAbility, type TaskKind } from "../../../shared/openai/task-kinds.ts";
import type { Listing } from "../../../shared/protocol/listing.ts";
import type { ResultShape } from "../../inference/results/result-shape.ts";
import { documentFault } from "./judge-document.ts";
import { textFault } from "./judge-text.ts";
import type { ProbeAnswer } from "./probe-answer.ts";
import { imageSizeSmall, passage, redSquarePng, toneOf } from "./probe-samples.ts";

/** What a probe is for: one ability, or the context a listing claims. */
export type ProbeAim = Ability | "context";

/** One small real request that shows whether a worker can do what it claims. */
export interface Probe {
  readonly aim: ProbeAim;
  readonly kind: TaskKind;
  /** How often it is asked, one after the other: a seed shows itself in two answers. */
  readonly runs: number;
  readonly request: Readonly<Record<string, unknown>>;
  readonly choices: number;
  /** The most tokens it asks for, over all choices; null where tokens are not asked for. */
  readonly tokensMax: number | null;
  /** Words of filling in the prompt. */
  readonly words: number;
  /** What its answer must be where that is a document. */
  readonly result: ResultShape | null;
}

/** Whether an aim is an ability that opens an endpoint. */
export function isBaseAbility(aim: string): boolean {
  const kinds: ReadonlyMap<string, TaskKind> = kindByAbility;
  return kinds.has(aim);
}

/** Filling of the first probe, by which the worker's tokens a word are counted. */
const measuringWords = 40;

/**
 * The probes of a listing, the abilities that open endpoints first. What cannot be checked by a
 * small request (`param:…`, penalties, forced prefixes) has none and stays as declared. `random`
 * gives numbers in [0, 1).
 */
export function probesFor(listing: Listing, random: () => number): Probe[] {
  const claimed = new Set(listing.abilities);
  const probes: Probe[] = [];
  for (const [ability, kind] of kindByAbility) {
    if (claimed.has(ability)) probes.push(baseProbe(ability, kind, listing, random));
  }
  if (claimed.has("word_timestamps") && claimed.has("transcription")) {
    probes.push(transcriptionProbe("word_timestamps", listing.model, true, random));
  }
  const kind = claimed.has("chat") ? "chat" : claimed.has("completions") ? "completion" : null;
  if (kind === null) return probes;
  const of = new TextProbes(listing, kind, random);
  for (const ability of ["seed", "logprobs", "choices"] as const) {
    if (claimed.has(ability)) probes.push(of[ability]());
  }
  if (kind === "completion") return probes;
  for (const ability of ["tools", "json_object", "json_schema", "vision"] as const) {
    if (claimed.has(ability)) probes.push(of[ability]());
  }
  return probes;
}

function baseProbe(aim: Ability, kind: TaskKind, { model }: Listing, random: () => number): Probe {
  const text = passage(8, random);
  const other = passage(8, random);
  switch (kind) {
    case "chat":
    case "completion":
      return textProbe(aim, kind, model, passage(measuringWords, random), measuringWords);
    case "embedding": {
      const request = { model, input: [text, text, other] };
      return documentProbe(aim, request, { kind, vectors: 3, dimensions: null });
    }
    case "rerank": {
      const request = { model, query: text, documents: [other, text, text] };
      return documentProbe(aim, request, { kind, scores: 3 });
    }
    case "classification":
      return documentProbe(aim, { model, input: [text, text] }, { kind, inputs: 2 });
    case "transcription":
      return transcriptionProbe(aim, model, false, random);
    case "image": {
      const request = { model, prompt: text, n: 1, size: imageSizeSmall };
      return documentProbe(aim, request, { kind, images: 1, size: imageSizeSmall, format: null });
    }
  }
}

function transcriptionProbe(
  aim: Ability,
  model: string,
  words: boolean,
  random: () => number,
): Probe {
  const audio = toneOf(200 + Math.floor(random() * 400));
  const times = words ? { timestamp_granularities: ["word"] } : {};
  const request = { model, audio, file_name: "sample.wav", ...times };
  return documentProbe(aim, request, { kind: "transcription", words });
}

function documentProbe(
  aim: Ability,
  request: Readonly<Record<string, unknown>>,
  result: ResultShape,
): Probe {
  const { kind } = result;
  return { aim, kind, runs: 1, request, choices: 1, tokensMax: null, words: 0, result };
}

/** Few, because slow machines are probed too; enough for a model to begin an answer. */
const answerTokens = 8;
/** A call or an object of the small schemas below takes about twenty. */
const structureTokens = 48;

function textProbe(
  aim: ProbeAim,
  kind: "chat" | "completion",
  model: string,
  text: string,
  words = 0,
): Probe {
  const prompt =
    kind === "chat" ? { messages: [{ role: "user", content: text }] } : { prompt: text };
  const request = { model, ...prompt, max_tokens: answerTokens };
  const plain = { runs: 1, choices: 1, tokensMax: answerTokens, result: null } as const;
  return { aim, kind, ...plain, request, words };
}

/** The schema that objects and calls of probes must fit; judge-text.ts checks by it. */
const colourSchema = {
  type: "object",
  properties: { colour: { type: "string", enum: ["red", "green", "blue"] } },
  required: ["colour"],
  additionalProperties: false,
};

/** The function that tools are probed with. */
const paintTool = {
  type: "function",
  function: { name: "paint", description: "Paints a wall", parameters: colourSchema },
};

/** The probes of abilities that texts have. */
class TextProbes {
  readonly #listing: Listing;
  readonly #kind: "chat" | "completion";
  readonly #random: () => number;

  constructor(listing: Listing, kind: "chat" | "completion", random: () => number) {
    this.#listing = listing;
    this.#kind = kind;
    this.#random = random;
  }

  seed(): Probe {
    // A hot, free choice of words: two answers without a seed differ in almost every case.
    const seed = Math.floor(this.#random() * 1_000_000) + 1;
    return { ...this.#asking("seed", { seed, temperature: 1.5 }), runs: 2 };
  }

  logprobs(): Probe {
    const asked = this.#kind === "chat" ? { logprobs: true, top_logprobs: 1 } : { logprobs: 1 };
    return this.#asking("logprobs", asked);
  }

  choices(): Probe {
    const asked = { n: 2, temperature: 1 };
    return { ...this.#asking("choices", asked), choices: 2, tokensMax: 2 * answerTokens };
  }

  tools(): Probe {
    return this.#asking("tools", {
      messages: [{ role: "user", content: "Paint the wall green." }],
      tools: [paintTool],
      tool_choice: { type: "function", function: { name: "paint" } },
      max_tokens: structureTokens,
    });
  }

  json_object(): Probe {
    return this.#asking("json_object", {
      messages: [{ role: "user", content: 'Give a small JSON object with the key "colour".' }],
      response_format: { type: "json_object" },
      max_tokens: structureTokens,
    });
  }

  json_schema(): Probe {
    return this.#asking("json_schema", {
      messages: [{ role: "user", content: "Give a colour as JSON." }],
      response_format: {
        type: "json_schema",
        json_schema: { name: "colour", schema: colourSchema, strict: true },
      },
      max_tokens: structureTokens,
    });
  }

  vision(): Probe {
    const url = `data:image/png;base64,${redSquarePng}`;
    const content = [
      { type: "text", text: "What colour is this?" },
      { type: "image_url", image_url: { url } },
    ];
    return this.#asking("vision", { messages: [{ role: "user", content }] });
  }

  #asking(aim: Ability, asked: Readonly<Record<string, unknown>>): Probe {
    const { model } = this.#listing;
    const text = `Tell me about ${passage(4, this.#random)}`;
    const probe = textProbe(aim, this.#kind, model, text);
    const tokensMax = typeof asked["max_tokens"] === "number" ? asked["max_tokens"] : answerTokens;
    return { ...probe, request: { ...probe.request, ...asked }, tokensMax };
  }
}

/** What a slow machine reads in some seconds, and a small context is tested whole with. */
const contextTokensMax = 2_000;
/** Of a claimed context, how much a probe fills: room for the template and the answer is left. */
const contextShare = 0.9;
/** No template takes more beside the words. */
const spareTokens = 32;

/**
 * A long prompt, for a listing whose engine makes `tokensPerWord` of the first probe's words; null
 * where the context is so short that the first probe has shown as much.
 */
export function contextProbe(
  listing: Listing,
  tokensPerWord: number,
  random: () => number,
): Probe | null {
  const tokens = Math.min(listing.context_tokens * contextShare - spareTokens, contextTokensMax);
  const words = Math.floor(tokens / Math.max(1, tokensPerWord));
  if (words <= measuringWords) return null;
  const kind = listing.abilities.includes("chat") ? "chat" : "completion";
  return textProbe("context", kind, listing.model, passage(words, random), words);
}

/**
 * What the answers to a probe (one a run) show to be wrong with the engine, as a sentence, or null.
 * A weak model is never at fault: what it says is not looked at, only the form that it was forced
 * to.
 */
export function judge(probe: Probe, answers: readonly ProbeAnswer[]): string | null {
  for (const answer of answers) {
    if (answer.kind === "failed") return answer.message;
    const { result } = probe;
    const fault =
      result === null ? textFault(probe, answer) : documentFault(result, answer.texts[0] ?? "");
    if (fault !== null) return fault;
  }
  if (probe.aim !== "seed") return null;
  const texts = answers.map((answer) => (answer.kind === "answered" ? answer.texts[0] : null));
  return texts.every((text) => text === texts[0])
    ? null
    : "two answers to one request with one seed differ";
}
