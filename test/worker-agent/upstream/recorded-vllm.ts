import type { Asked, Route } from "./recorded-server.ts";
import type { Honoured } from "./dialect-model.ts";
import { DialectModel, entry, streamed, tokenId, tokensOf } from "./dialect-model.ts";

const head = {
  id: "chatcmpl-5f1d0b1c3a7c4a3f",
  object: "chat.completion.chunk",
  created: 1_763_600_000,
  model: "Qwen/Qwen2.5-VL-7B-Instruct",
};

/** vLLM 0.15 with a model that sees. */
export function vllmRoutes(): Record<string, Route> {
  const honoured: Honoured[] = ["seed", "logprobs", "json", "tools", "vision", "n", "penalties"];
  const model = new DialectModel([...honoured, "bias"]);
  const continuing = new DialectModel([...honoured, "prefix"]);
  return {
    "/version": { json: { version: "0.15.0" } },
    "/health": { text: "" },
    "/v1/models": {
      json: {
        object: "list",
        data: [
          {
            id: head.model,
            object: "model",
            created: 1_763_600_001,
            owned_by: "vllm",
            root: head.model,
            parent: null,
            max_model_len: 32_768,
          },
        ],
      },
    },
    "/tokenize": ({ body }) => {
      const tokens = tokensOf(String(body["prompt"])).map(tokenId);
      return { json: { count: tokens.length, max_model_len: 32_768, tokens, token_strs: null } };
    },
    "/v1/chat/completions": ({ body }) => {
      // Without this field its last message is a turn that is over.
      const isContinued = body["continue_final_message"] === true;
      return streamed(chatChunks(isContinued ? continuing : model, body));
    },
    "/v1/completions": ({ body }) => {
      const [answer] = model.answer(body);
      const tokens = answer?.tokens ?? [];
      const chunks = tokens.map((text, at) => {
        const top_logprobs = [{ [text]: -0.25, " other": -1.5 }];
        const logprobs = {
          text_offset: [0],
          token_logprobs: [-0.25],
          tokens: [text],
          top_logprobs,
        };
        const finish_reason = at === tokens.length - 1 ? (answer?.finish ?? "stop") : null;
        const choice = { index: 0, text, finish_reason, stop_reason: null };
        const own = "logprobs" in body ? { ...choice, logprobs } : { ...choice, logprobs: null };
        return { ...head, object: "text_completion", choices: [own], usage: usage(at + 1) };
      });
      return streamed([...chunks, { ...head, choices: [], usage: usage(tokens.length) }]);
    },
  };
}

function chatChunks(model: DialectModel, body: Asked["body"]): unknown[] {
  const answers = model.answer(body);
  const chunks: unknown[] = answers.map(({ index }) => ({
    ...head,
    choices: [{ index, delta: { role: "assistant", content: "" }, logprobs: null }],
    prompt_token_ids: null,
    usage: usage(0),
  }));
  let total = 0;
  for (const { index, tokens, call, finish } of answers) {
    let made = 0;
    const add = (delta: object, text: string, finish_reason: string | null) => {
      made += 1;
      const logprobs = body["logprobs"] === true && text !== "" ? { content: [entry(text)] } : null;
      const choice = { index, delta, logprobs, finish_reason, token_ids: null };
      chunks.push({ ...head, choices: [choice], usage: usage(made) });
    };
    for (const text of tokens) add({ content: text }, text, null);
    if (call !== null) {
      const first = { id: "chatcmpl-tool-7a", type: "function", index: 0 };
      add({ tool_calls: [{ ...first, function: { name: call.name } }] }, "", null);
      for (const piece of call.arguments.match(/.{1,5}/g) ?? []) {
        add({ tool_calls: [{ index: 0, function: { arguments: piece } }] }, "", null);
      }
    }
    add({ content: "" }, "", finish);
    total += made;
  }
  return [...chunks, { ...head, choices: [], usage: usage(total) }];
}

function usage(completion_tokens: number) {
  return { prompt_tokens: 23, total_tokens: 23 + completion_tokens, completion_tokens };
}
