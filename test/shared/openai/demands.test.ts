import { describe, expect, test } from "vitest";
import { chatRequestSchema } from "../../../shared/openai/chat-request.ts";
import { completionRequestSchema } from "../../../shared/openai/completion-request.ts";
import { chatDemands, completionDemands } from "../../../shared/openai/demands.ts";

const tool = { type: "function", function: { name: "weather", parameters: {} } };
const base = { model: "m", messages: [{ role: "user", content: "hi" }] };

/**
 * What becomes of a request: `engine` for what every engine honours as it stands, the abilities a
 * worker must have for it, `no effect` for what cannot change the answer, or the field refused.
 */
function fateOf(fields: Record<string, unknown>): string {
  const parsed = chatRequestSchema.safeParse({ ...base, ...fields });
  if (!parsed.success) return `invalid ${parsed.error.issues[0]?.path[0]?.toString() ?? ""}`;
  const { refused, fieldByAbility } = chatDemands(parsed.data);
  if (refused !== null) return `refused ${refused.param}`;
  const demanded = [...fieldByAbility].filter(([ability]) => ability !== "chat");
  for (const [, field] of demanded) expect(Object.keys(fields)).toContain(field);
  if (demanded.length > 0) return `needs ${demanded.map(([ability]) => ability).join(" ")}`;
  const seen = Object.keys(fields).every((field) => field in chatRequestSchema.shape);
  return seen ? "engine" : "no effect";
}

/** Every parameter of OpenAI's chat API, with values that ask for nothing and for something. */
const chatParameters: Record<string, readonly (readonly [unknown, string])[]> = {
  model: [
    ["some-model", "engine"],
    ["", "invalid model"],
    [7, "invalid model"],
  ],
  messages: [
    [[{ role: "user", content: "hi" }], "engine"],
    [[], "invalid messages"],
    ["hi", "invalid messages"],
    [
      [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:," } }] }],
      "needs vision",
    ],
    [
      [
        {
          role: "user",
          content: [{ type: "input_audio", input_audio: { data: "AA", format: "wav" } }],
        },
      ],
      "needs audio_input",
    ],
    [[{ role: "tool", content: "12 °C", tool_call_id: "call_1" }], "needs tools"],
    [[{ role: "user", content: [{ type: "file", file: { file_id: "f" } }] }], "invalid messages"],
  ],
  audio: [
    [null, "no effect"],
    [{ voice: "alloy", format: "wav" }, "needs audio_output"],
  ],
  frequency_penalty: [
    [0, "engine"],
    [0.5, "needs penalties"],
    [2.1, "invalid frequency_penalty"],
  ],
  function_call: [
    [null, "no effect"],
    ["auto", "refused function_call"],
    [{ name: "f" }, "refused function_call"],
  ],
  functions: [
    [[], "no effect"],
    [[{ name: "f" }], "refused functions"],
  ],
  logit_bias: [
    [{}, "engine"],
    [{ "50256": -100 }, "needs logit_bias"],
    [{ "50256": -101 }, "invalid logit_bias"],
    [{ hello: 1 }, "invalid logit_bias"],
  ],
  logprobs: [
    [false, "engine"],
    [true, "needs logprobs"],
    [5, "invalid logprobs"],
  ],
  max_completion_tokens: [
    [100, "engine"],
    [0, "invalid max_completion_tokens"],
    [-1, "invalid max_completion_tokens"],
    [1e300, "invalid max_completion_tokens"],
  ],
  max_tokens: [
    [100, "engine"],
    [1.5, "invalid max_tokens"],
  ],
  metadata: [[{ trace: "1" }, "no effect"]],
  modalities: [
    [["text"], "no effect"],
    [["text", "audio"], "needs audio_output"],
  ],
  n: [
    [1, "engine"],
    [3, "needs choices"],
    [17, "invalid n"],
    [0, "invalid n"],
  ],
  octo: [
    [{ min_quantization: "int8" }, "engine"],
    [{ precision: 8 }, "invalid octo"],
  ],
  parallel_tool_calls: [
    [null, "engine"],
    [true, "refused parallel_tool_calls"],
  ],
  prediction: [[{ type: "content", content: "x" }, "no effect"]],
  presence_penalty: [
    [0, "engine"],
    [-1, "needs penalties"],
    [-3, "invalid presence_penalty"],
  ],
  prompt_cache_key: [["user-7", "no effect"]],
  prompt_cache_retention: [["24h", "no effect"]],
  reasoning_effort: [
    [null, "no effect"],
    ["low", "needs reasoning_effort"],
    ["medium", "needs reasoning_effort"],
  ],
  response_format: [
    [{ type: "text" }, "engine"],
    [{ type: "json_object" }, "needs json_object"],
    [{ type: "json_schema", json_schema: { name: "a", schema: {} } }, "needs json_schema"],
    [{ type: "grammar" }, "invalid response_format"],
  ],
  safety_identifier: [["hash", "no effect"]],
  seed: [
    [7, "needs seed"],
    [2 ** 53, "invalid seed"],
  ],
  service_tier: [
    ["auto", "no effect"],
    ["default", "no effect"],
    ["flex", "refused service_tier"],
    ["priority", "refused service_tier"],
  ],
  stop: [
    ["\n", "engine"],
    [["a", "b", "c", "d"], "engine"],
    [["a", "b", "c", "d", "e"], "invalid stop"],
    ["", "invalid stop"],
  ],
  store: [
    [false, "no effect"],
    [true, "refused store"],
  ],
  stream: [
    [true, "engine"],
    ["yes", "invalid stream"],
  ],
  stream_options: [
    [null, "engine"],
    [{ include_usage: true }, "refused stream_options"],
    [{ include_obfuscation: true }, "invalid stream_options"],
  ],
  temperature: [
    [0, "engine"],
    [2, "engine"],
    [2.01, "invalid temperature"],
    [-0.1, "invalid temperature"],
    [Number.NaN, "invalid temperature"],
  ],
  tool_choice: [
    ["none", "engine"],
    ["auto", "refused tool_choice"],
    ["required", "refused tool_choice"],
    [{ type: "function", function: { name: "weather" } }, "refused tool_choice"],
  ],
  tools: [
    [[], "engine"],
    [[tool], "needs tools"],
    [[{ type: "custom", custom: { name: "x" } }], "invalid tools"],
  ],
  top_logprobs: [
    [null, "engine"],
    [3, "refused top_logprobs"],
    [21, "invalid top_logprobs"],
  ],
  top_p: [
    [1, "engine"],
    [1.1, "invalid top_p"],
  ],
  user: [
    ["u-1", "engine"],
    ["x".repeat(513), "invalid user"],
  ],
  verbosity: [
    ["medium", "no effect"],
    ["low", "needs verbosity"],
  ],
  web_search_options: [
    [null, "no effect"],
    [{}, "needs web_search"],
  ],
};

const table = Object.entries(chatParameters).flatMap(([name, values]) =>
  values.map(([value, fate]) => [name, value, fate] as const),
);

describe("the parameters of the chat API", () => {
  test.each(table)("%s: %j is: %s", (name, value, fate) => {
    expect(fateOf({ [name]: value })).toBe(fate);
  });

  test("every parameter this build names is in the table", () => {
    for (const name of Object.keys(chatRequestSchema.shape)) {
      expect(Object.keys(chatParameters)).toContain(name);
    }
  });

  test("null asks for nothing, whatever the parameter", () => {
    for (const name of Object.keys(chatParameters)) {
      if (name === "model" || name === "messages") continue;
      expect(["engine", "no effect"]).toContain(fateOf({ [name]: null }));
    }
  });

  test("pairs that belong together are honoured together", () => {
    const named = { type: "function", function: { name: "weather" } };
    expect(fateOf({ tools: [tool], tool_choice: named })).toBe("needs tools");
    expect(fateOf({ tools: [tool], parallel_tool_calls: false })).toBe("needs tools");
    expect(fateOf({ logprobs: true, top_logprobs: 3 })).toBe("needs logprobs");
    expect(fateOf({ stream: true, stream_options: { include_usage: true } })).toBe("engine");
    const other = { type: "function", function: { name: "other" } };
    expect(fateOf({ tools: [tool], tool_choice: other })).toBe("refused tool_choice");
  });

  test.each(["top_k", "min_p", "repetition_penalty", "guided_json"])(
    "%s, which is no parameter of OpenAI's, needs an engine that knows it",
    (name) => {
      expect(fateOf({ [name]: 1 })).toBe(`needs param:${name}`);
      expect(fateOf({ [name]: null })).toBe("no effect");
    },
  );

  test.each(["constructor", "toString", "hasOwnProperty", "valueOf"])(
    "%s, a name that objects inherit, is a parameter like any other",
    (name) => {
      expect(fateOf({ [name]: 1 })).toBe(`needs param:${name}`);
    },
  );
});

function completionFate(fields: Record<string, unknown>): string {
  const parsed = completionRequestSchema.safeParse({ model: "m", prompt: "hi", ...fields });
  if (!parsed.success) return `invalid ${parsed.error.issues[0]?.path[0]?.toString() ?? ""}`;
  const { refused, fieldByAbility } = completionDemands(parsed.data);
  if (refused !== null) return `refused ${refused.param}`;
  const demanded = [...fieldByAbility.keys()].filter((ability) => ability !== "completions");
  return demanded.length > 0 ? `needs ${demanded.join(" ")}` : "served";
}

describe("the parameters of the completions API", () => {
  test.each([
    [{}, "served"],
    [{ prompt: ["hi"] }, "served"],
    [{ prompt: ["hi", "ho"] }, "invalid prompt"],
    [{ prompt: [1, 2] }, "invalid prompt"],
    [{ logprobs: 3 }, "needs logprobs"],
    [{ logprobs: 6 }, "invalid logprobs"],
    [{ echo: false }, "served"],
    [{ echo: true }, "invalid echo"],
    [{ best_of: 1 }, "served"],
    [{ best_of: 2 }, "invalid best_of"],
    [{ suffix: null }, "served"],
    [{ suffix: "end" }, "invalid suffix"],
    [{ n: 2, seed: 1 }, "needs seed choices"],
    [{ user: "u", temperature: 0, stop: ["x"], max_tokens: 5 }, "served"],
    [{ messages: [] }, "needs param:messages"],
    [{ tools: [tool] }, "needs param:tools"],
  ])("%j is: %s", (fields, fate) => {
    expect(completionFate(fields)).toBe(fate);
  });
});
