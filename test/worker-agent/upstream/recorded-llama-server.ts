import type { Asked, Route } from "./recorded-server.ts";
import { DialectModel, entry, streamed, tokenId, tokensOf } from "./dialect-model.ts";

const head = {
  created: 1_781_492_230,
  id: "chatcmpl-qC6laQHbZ2CmxNvJ4NoB1L93LcVF7nfe",
  model: "qwen3-0.6b",
  system_fingerprint: "b9554-d403f00ec",
  object: "chat.completion.chunk",
};

export interface LlamaServerShape {
  readonly path: string;
  readonly template: string;
  readonly parameterCount: number;
  readonly id: string;
}

/** llama-server b9554 with a model that reasons, two slots of 4096 tokens. */
export function llamaServerRoutes(shape: Partial<LlamaServerShape> = {}): Record<string, Route> {
  const { path = "models/Qwen3.gguf", template = "{{ messages }}" } = shape;
  const { parameterCount = 751_632_384, id = "../models/Qwen3-0.6B-Q8_0.gguf" } = shape;
  const honoured = [
    "seed",
    "logprobs",
    "json",
    "tools",
    "n",
    "penalties",
    "bias",
    "prefix",
  ] as const;
  const model = new DialectModel(honoured, ["Let", " me"]);
  // Only a chat's template makes it reason.
  const plain = new DialectModel(honoured);
  return {
    "/health": { json: { status: "ok" } },
    "/props": {
      json: {
        default_generation_settings: { n_ctx: 4096, params: { seed: 4_294_967_295 } },
        total_slots: 2,
        model_alias: "qwen3-0.6b",
        model_path: path,
        modalities: { vision: false, audio: false },
        chat_template: template,
        build_info: "b9554-d403f00ec",
        is_sleeping: false,
      },
    },
    "/v1/models": {
      json: {
        object: "list",
        data: [
          {
            id,
            object: "model",
            created: 1_781_492_200,
            owned_by: "llamacpp",
            meta: { vocab_type: 2, n_ctx_train: 40_960, n_params: parameterCount, size: 800_000 },
          },
        ],
      },
    },
    "/tokenize": ({ body }) => ({
      json: { tokens: tokensOf(String(body["content"])).map(tokenId) },
    }),
    "/v1/chat/completions": ({ body }) => streamed(chatChunks(model, body)),
    "/v1/completions": ({ body }) => {
      const [answer] = plain.answer(body);
      const tokens = answer?.tokens ?? [];
      const chunk = (text: string, finish_reason: string | null, made: number) => ({
        ...head,
        object: "text_completion",
        choices: [
          {
            text,
            index: 0,
            logprobs: "logprobs" in body && text !== "" ? { content: [entry(text)] } : null,
            finish_reason,
          },
        ],
        timings: timings(made),
      });
      const made = tokens.map((text, at) => chunk(text, null, at + 1));
      const end = chunk("", answer?.finish ?? "stop", tokens.length);
      return streamed([...made, { ...end, usage: usage(tokens.length) }]);
    },
  };
}

function chatChunks(model: DialectModel, body: Asked["body"]): unknown[] {
  const answers = model.answer(body);
  const chunks: unknown[] = [];
  let total = 0;
  for (const { index, tokens, reasoning, call, finish } of answers) {
    const chunk = (delta: object, finish_reason: string | null, more: object = {}) => ({
      choices: [{ finish_reason, index, delta, ...more }],
      ...head,
    });
    chunks.push(chunk({ role: "assistant", content: null }, null));
    let made = 0;
    const add = (delta: object, text: string) => {
      made += 1;
      const logprobs = body["logprobs"] === true ? { logprobs: { content: [entry(text)] } } : {};
      chunks.push({ ...chunk(delta, null, logprobs), timings: timings(made) });
    };
    for (const text of reasoning) add({ reasoning_content: text }, text);
    for (const text of tokens) add({ content: text }, text);
    if (call !== null) {
      const first = { index: 0, id: "fthbdnl3", type: "function" };
      add({ tool_calls: [{ ...first, function: { name: call.name, arguments: "" } }] }, "");
      for (const piece of call.arguments.match(/.{1,4}/g) ?? []) {
        add({ tool_calls: [{ index: 0, function: { arguments: piece } }] }, "");
      }
    }
    total += made + 1;
    chunks.push(chunk({}, finish));
  }
  return [...chunks, { choices: [], ...head, usage: usage(total), timings: timings(total) }];
}

function timings(predicted_n: number) {
  return { cache_n: 7, prompt_n: 10, prompt_ms: 251.51, predicted_n, predicted_ms: 407.596 };
}

function usage(completion_tokens: number) {
  const prompt_tokens_details = { cached_tokens: 7 };
  return { completion_tokens, prompt_tokens: 17, total_tokens: 17, prompt_tokens_details };
}
