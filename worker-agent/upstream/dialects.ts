import type { EngineKind } from "../engine/engine.ts";

/** The engines that are other servers. */
export type UpstreamKind = Exclude<EngineKind, "llama.cpp" | "transformers" | "synthetic">;

/** How a server speaks beyond what they all share. */
export interface Dialect {
  /** For people. */
  readonly title: string;
  /**
   * Fields of its own that it is documented to take, offered as `param:NAME`. None that gives it a
   * template, a grammar or a place to read from: those are programs of a stranger's.
   */
  readonly params: readonly string[];
  /** More fields of each generation, so that it counts its tokens as they come. */
  readonly counting: Readonly<Record<string, unknown>>;
  /** Fields inside `stream_options`, to the same end. */
  readonly streamOptions: Readonly<Record<string, unknown>>;
  /** How an answer that another worker began is continued; null where it cannot be. */
  readonly prefix: Readonly<Record<string, unknown>> | null;
  /** Where text becomes tokens; null where nowhere. */
  readonly tokenizer: "content" | "prompt" | null;
  /** Whether `tool_choice` has an effect. */
  readonly hasToolChoice: boolean;
  /** What `/v1/rerank` scores documents in; Jina's and Cohere's API, its model, from 0 to 1. */
  readonly rerankScores: "probabilities" | "logits";
}

const none = {
  params: [],
  counting: {},
  streamOptions: {},
  prefix: null,
  tokenizer: null,
  hasToolChoice: true,
  rerankScores: "probabilities",
} as const;

/** vLLM and SGLang count the tokens of each choice in each chunk where asked. */
const runningUsage = { continuous_usage_stats: true };

/**
 * What each server documents (read in November 2026): vLLM "OpenAI-Compatible Server, extra
 * parameters"; llama.cpp tools/server/README.md; SGLang "OpenAI APIs, extra parameters"; Ollama
 * docs/openai.md; TensorRT-LLM "trtllm-serve"; LM Studio "OpenAI compatibility endpoints"; LocalAI
 * "Text generation".
 */
export const dialects: Readonly<Record<UpstreamKind, Dialect>> = {
  ollama: {
    ...none,
    title: "Ollama",
    // A trailing message of the assistant is continued by templates that end with it.
    prefix: {},
    // Its OpenAI endpoint has no such field.
    hasToolChoice: false,
  },
  "llama-server": {
    ...none,
    title: "llama-server",
    params: [
      "top_k",
      "min_p",
      "typical_p",
      "repeat_penalty",
      "repeat_last_n",
      "dry_multiplier",
      "dry_base",
      "dry_allowed_length",
      "xtc_probability",
      "xtc_threshold",
      "mirostat",
      "mirostat_tau",
      "mirostat_eta",
    ],
    counting: { timings_per_token: true },
    prefix: {},
    tokenizer: "content",
    rerankScores: "logits",
  },
  vllm: {
    ...none,
    title: "vLLM",
    params: [
      "top_k",
      "min_p",
      "repetition_penalty",
      "length_penalty",
      "stop_token_ids",
      "include_stop_str_in_output",
      "ignore_eos",
      "min_tokens",
      "skip_special_tokens",
    ],
    streamOptions: runningUsage,
    prefix: { continue_final_message: true, add_generation_prompt: false },
    tokenizer: "prompt",
  },
  sglang: {
    ...none,
    title: "SGLang",
    params: [
      "top_k",
      "min_p",
      "repetition_penalty",
      "min_tokens",
      "stop_token_ids",
      "ignore_eos",
      "skip_special_tokens",
    ],
    streamOptions: runningUsage,
    prefix: { continue_final_message: true },
    tokenizer: "prompt",
  },
  "tensorrt-llm": {
    ...none,
    title: "TensorRT-LLM",
    params: ["top_k", "min_p", "repetition_penalty", "min_tokens", "ignore_eos"],
  },
  "lm-studio": { ...none, title: "LM Studio", params: ["top_k", "repeat_penalty"] },
  localai: { ...none, title: "LocalAI", params: ["top_k", "repeat_penalty"] },
  "openai-compatible": { ...none, title: "OpenAI-compatible server" },
  diffusion: { ...none, title: "diffusion server" },
};
