import { z } from "zod";
import type { GenerateTask } from "../engine.ts";
import { EngineError } from "../engine.ts";

/** How tokens are chosen, read from a request: everything given, in the engine's own terms. */
export interface Sampling {
  readonly temperature: number;
  readonly topP: number;
  /** 0 keeps every token. */
  readonly topK: number;
  readonly minP: number;
  readonly repeatPenalty: number;
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
  readonly seed: number | null;
  readonly biasByTokenId: ReadonlyMap<number, number>;
  readonly stops: readonly string[];
  /** How many alternatives a token's log probability lists; null where none were asked for. */
  readonly alternatives: number | null;
  readonly choices: number;
}

/** OpenAI's default. */
const defaultTemperature = 1;

const ownFields = {
  top_k: z.int().min(-1).max(1_000_000),
  min_p: z.number().min(0).max(1),
  repeat_penalty: z.number().min(0.1).max(10),
};

const accepted: Record<keyof typeof ownFields, string> = {
  top_k: "an integer from 0 to 1000000 (0 keeps every token)",
  min_p: "a number from 0 to 1",
  repeat_penalty: "a number from 0.1 to 10 (1 changes nothing)",
};

/**
 * Reads a request's sampling fields. Throws EngineError `invalid_request` on the engine's own
 * fields out of range.
 */
export function readSampling(task: GenerateTask): Sampling {
  const { request } = task;
  const own = (field: keyof typeof ownFields, otherwise: number): number => {
    const value = request[field];
    if (value === undefined || value === null) return otherwise;
    const parsed = ownFields[field].safeParse(value);
    if (parsed.success) return parsed.data;
    const met = JSON.stringify(value);
    const message = `Cannot use ${field} ${met}: it is ${accepted[field]}`;
    throw new EngineError("invalid_request", message);
  };
  const stop = request.stop ?? [];
  const bias = Object.entries(request.logit_bias ?? {});
  return {
    temperature: request.temperature ?? defaultTemperature,
    topP: request.top_p ?? 1,
    topK: Math.max(0, own("top_k", 0)),
    minP: own("min_p", 0),
    repeatPenalty: own("repeat_penalty", 1),
    frequencyPenalty: request.frequency_penalty ?? 0,
    presencePenalty: request.presence_penalty ?? 0,
    seed: request.seed ?? null,
    biasByTokenId: new Map(bias.map(([id, value]) => [Number(id), value])),
    stops: typeof stop === "string" ? [stop] : stop,
    alternatives: alternativesOf(task),
    choices: request.n ?? 1,
  };
}

function alternativesOf(task: GenerateTask): number | null {
  if (task.kind === "completion") return task.request.logprobs ?? null;
  return task.request.logprobs === true ? (task.request.top_logprobs ?? 0) : null;
}

/** Whether tokens weigh less, or more, for having come before. */
export function hasPenalty(sampling: Sampling): boolean {
  const { repeatPenalty, frequencyPenalty, presencePenalty } = sampling;
  return repeatPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0;
}

/** llama.cpp reads this seed as "choose one at random". */
const randomSeedMark = 0xffff_ffff;

/**
 * The generator's seed of one choice: 32 bits of the request's seed (which may have 53 and a sign),
 * another for every choice.
 */
export function choiceSeed(seed: number, index: number): number {
  const high = Math.floor(seed / 2 ** 32);
  const folded = (Math.imul(high, 0x9e37_79b1) ^ (seed >>> 0)) >>> 0;
  const seedOfChoice = (folded + Math.imul(index, 0x85eb_ca6b)) >>> 0;
  return seedOfChoice === randomSeedMark ? 0 : seedOfChoice;
}
