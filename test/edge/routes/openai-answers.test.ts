import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import type { z } from "zod";
import type { AnswerHead } from "../../../edge/inference/answer-head.ts";
import { resultAnswer } from "../../../edge/inference/results/result-answer.ts";
import { errorAnswer, errorEvent, StreamEvents } from "../../../edge/inference/stream-events.ts";
import { type GatheredAnswer, wholeAnswer } from "../../../edge/inference/whole-answer.ts";
import {
  chatAnswerSchema,
  chatEventSchema,
  completionAnswerSchema,
  completionEventSchema,
  modelListSchema,
} from "../../../edge/openapi/openai-answers.ts";
import { embeddingDemands } from "../../../shared/openai/result-demands.ts";

/** OpenAI's published schemas, where the machine has them. */
const contractPath = fileURLToPath(
  new URL("../../../../shared/data/openai-contract.json", import.meta.url),
);
const contract = existsSync(contractPath) ? readFileSync(contractPath, "utf8") : null;
const contractTest = contract === null ? test.skip : test;
if (contract === null) test.skip(`OpenAI's schemas are not at ${contractPath}`);

const ajv = new Ajv2020({ strict: false, validateFormats: false });
if (contract !== null) ajv.addSchema(JSON.parse(contract, withNull) as object, "openai");

/** OpenAI's document still says `nullable`, which the JSON Schema it claims to be has no more. */
function withNull(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("nullable" in value)) return value;
  const { nullable, ...schema } = value;
  return nullable === true ? { anyOf: [schema, { type: "null" }] } : schema;
}

/** What OpenAI's schema `name` says against a value. */
function complaints(name: string, value: unknown): unknown {
  const validate = ajv.getSchema(`openai#/components/schemas/${name}`);
  expect(validate).toBeDefined();
  return validate?.(value) === true ? [] : validate?.errors;
}

const logprob = { token: "Hi", logprob: -0.5, bytes: [72, 105] };
const counts = { promptTokens: 3, completionTokens: 2 };
const answers: Record<string, GatheredAnswer> = {
  text: {
    parts: [{ index: 0, tokens: 1, text: "Hi" }],
    finishes: [{ index: 0, reason: "stop" }],
    counts,
  },
  "nothing at all": { parts: [], finishes: [{ index: 0, reason: "length" }], counts },
  "two choices": {
    parts: [
      { index: 1, tokens: 1, text: "B" },
      { index: 0, tokens: 1, text: "A" },
    ],
    finishes: [
      { index: 1, reason: "length" },
      { index: 0, reason: "stop" },
    ],
    counts,
  },
  "log probabilities": {
    parts: [
      {
        index: 0,
        tokens: 1,
        text: "Hi",
        logprobs: [{ ...logprob, top_logprobs: [logprob] }],
      },
    ],
    finishes: [{ index: 0, reason: "stop" }],
    counts,
  },
  "tool calls and reasoning": {
    parts: [
      { index: 0, tokens: 1, reasoning: "Hm" },
      { index: 0, tokens: 1, tool_calls: [{ index: 0, id: "call_1", name: "f" }] },
      { index: 0, tokens: 1, tool_calls: [{ index: 0, arguments: "{}" }] },
    ],
    finishes: [{ index: 0, reason: "tool_calls" }],
    counts,
  },
};

const kinds = [
  ["chat", "CreateChatCompletionResponse", "CreateChatCompletionStreamResponse"],
  ["completion", "CreateCompletionResponse", "CreateCompletionResponse"],
] as const;

const schemasByKind: Record<AnswerHead["kind"], { whole: z.ZodType; event: z.ZodType }> = {
  chat: { whole: chatAnswerSchema, event: chatEventSchema },
  completion: { whole: completionAnswerSchema, event: completionEventSchema },
};

function headOf(kind: AnswerHead["kind"]): AnswerHead {
  return {
    kind,
    taskId: `tsk_${"a".repeat(22)}`,
    createdMs: 1_000,
    model: "tiny",
    digest: "d".repeat(64),
  };
}

function eventsOf(text: string): unknown[] {
  return text
    .split("\n\n")
    .map((event) => event.replace(/^id: .*\n/, ""))
    .filter((event) => event.startsWith("data: {"))
    .map((event) => JSON.parse(event.slice("data: ".length)) as unknown);
}

describe.each(kinds)("a %s answer", (kind, wholeName, eventName) => {
  const { whole, event } = schemasByKind[kind];
  const fitting = Object.entries(answers).filter(
    ([name]) => kind === "chat" || !name.startsWith("tool"),
  );

  test.each(fitting)("in one piece, of %s, has the described shape", (_, answer) => {
    const body = wholeAnswer(headOf(kind), answer);
    expect(whole.parse(body)).toEqual(body);
  });

  contractTest.each(fitting)("in one piece, of %s, has OpenAI's shape", (_, answer) => {
    expect(complaints(wholeName, wholeAnswer(headOf(kind), answer))).toEqual([]);
  });

  const streamed = (answer: GatheredAnswer) => {
    const events = new StreamEvents(headOf(kind), true, "weur:0");
    const { parts, finishes } = answer;
    return eventsOf(events.parts(parts) + events.finishes(finishes) + events.usage(counts));
  };

  test.each(fitting)("in a stream, of %s, has the described shape", (_, answer) => {
    for (const chunk of streamed(answer)) expect(event.parse(chunk)).toEqual(chunk);
  });

  contractTest.each(fitting)("in a stream, of %s, has OpenAI's shape", (_, answer) => {
    for (const chunk of streamed(answer)) {
      expect(complaints(eventName, withFinish(kind, chunk))).toEqual([]);
    }
  });

  test("that breaks off ends with the described event", () => {
    const error = { code: "worker_failed", message: "The worker was lost" } as const;
    const [chunk] = eventsOf(errorEvent(error, errorAnswer(headOf(kind))));
    expect(event.parse(chunk)).toEqual(chunk);
  });
});

/**
 * OpenAI has no schema for a plain completion's chunks, whose choices have no reason to have ended
 * and whose usage is still to come: those two are filled in, the rest is held against the whole
 * answer's.
 */
function withFinish(kind: AnswerHead["kind"], chunk: unknown): unknown {
  if (kind === "chat") return chunk;
  const { usage, choices, ...rest } = chunk as {
    usage?: unknown;
    choices: { finish_reason: unknown }[];
  };
  return {
    ...rest,
    ...(usage === null ? {} : { usage }),
    choices: choices.map((choice) => ({
      ...choice,
      finish_reason: choice.finish_reason ?? "stop",
    })),
  };
}

contractTest("the list of models has OpenAI's shape", () => {
  const octo = {
    digest: `sha256:${"d".repeat(64)}`,
    architecture: "llama",
    quantization: "F16",
    identity: "content",
    bits_per_weight: 16,
    parameter_count: 1,
    context_tokens: 1,
    input_micros_per_million: 0,
    output_micros_per_million: 0,
    abilities: [],
    regions: ["weur"],
    workers: 1,
    slots: 1,
    free_slots: 1,
    declared: null,
    measured: { first_token_ms: 9.5, decode_tokens_per_s: null, success_share: 1, samples: 2 },
  };
  const model = { id: "tiny", object: "model", created: 0, owned_by: "cipherocto", octo };
  const list = modelListSchema.parse({ object: "list", data: [model] });
  expect(complaints("ListModelsResponse", list)).toEqual([]);
});

contractTest("vectors have OpenAI's shape", async () => {
  const request = { model: "tiny", input: ["a", "b"] };
  const head = { taskId: `tsk_${"a".repeat(22)}`, createdMs: 1_000, model: "tiny", counts };
  // 1 and -2 as 32-bit floats.
  const document = JSON.stringify({ vectors: ["AACAPwAAAMA=", "AACAPwAAAMA="] });
  const wanted = { kind: "embedding", request, demands: embeddingDemands(request) } as const;
  const { body } = resultAnswer(wanted, head, document);
  expect(complaints("CreateEmbeddingResponse", await new Response(body).json())).toEqual([]);
});
