import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AnswerHead } from "../../../edge/inference/answer-head.ts";
import { wholeAnswer } from "../../../edge/inference/whole-answer.ts";
import type { OutputPart } from "../../../shared/openai/output.ts";

const head: AnswerHead = {
  kind: "chat",
  taskId: "tsk_abc",
  createdMs: 1_234_567,
  model: "m",
  digest: "d".repeat(64),
};
const counts = { promptTokens: 3, completionTokens: 4 };
const stop = { index: 0, reason: "stop" } as const;

describe("a whole chat answer", () => {
  test("joins the pieces of each choice, in the order of the choices", () => {
    const parts = [
      { index: 1, tokens: 1, text: "x" },
      { index: 0, tokens: 1, text: "a" },
      { index: 1, tokens: 1, text: "y" },
    ];
    const finishes = [{ index: 1, reason: "length" }, stop] as const;
    expect(wholeAnswer(head, { parts, finishes, counts })).toEqual({
      id: "chatcmpl-abc",
      object: "chat.completion",
      created: 1_234,
      model: "m",
      system_fingerprint: "fp_dddddddddddd",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "a", refusal: null },
          logprobs: null,
          finish_reason: "stop",
        },
        {
          index: 1,
          message: { role: "assistant", content: "xy", refusal: null },
          logprobs: null,
          finish_reason: "length",
        },
      ],
      usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 },
    });
  });

  test("puts a tool call together from its deltas, and has no content beside it", () => {
    const parts: OutputPart[] = [
      { index: 0, tokens: 1, tool_calls: [{ index: 1, id: "second", name: "g", arguments: "" }] },
      {
        index: 0,
        tokens: 1,
        tool_calls: [{ index: 0, id: "first", name: "f", arguments: '{"a"' }],
      },
      { index: 0, tokens: 1, tool_calls: [{ index: 0, arguments: ":1}" }] },
    ];
    const { choices } = wholeAnswer(head, { parts, finishes: [stop], counts });
    expect(choices).toMatchObject([
      {
        message: {
          content: null,
          tool_calls: [
            { id: "first", type: "function", function: { name: "f", arguments: '{"a":1}' } },
            { id: "second", type: "function", function: { name: "g", arguments: "" } },
          ],
        },
      },
    ]);
  });

  test("of nothing is an empty text", () => {
    const { choices } = wholeAnswer(head, { parts: [], finishes: [stop], counts });
    expect(choices).toMatchObject([{ message: { content: "" } }]);
  });

  test("says what was reasoned apart from what was said", () => {
    const parts = [{ index: 0, tokens: 2, reasoning: "hm", text: "so" }];
    const { choices } = wholeAnswer(head, { parts, finishes: [stop], counts });
    expect(choices).toMatchObject([{ message: { content: "so", reasoning_content: "hm" } }]);
  });
});

test("a whole text completion has its log probabilities in the older form", () => {
  const top = { token: "b", logprob: -2, bytes: null };
  const entry = { token: "a", logprob: -1, bytes: null, top_logprobs: [top] };
  const parts = [{ index: 0, tokens: 1, text: "a", logprobs: [entry] }];
  const answer = wholeAnswer({ ...head, kind: "completion" }, { parts, finishes: [stop], counts });
  expect(answer).toMatchObject({ id: "cmpl-abc", object: "text_completion" });
  expect(answer["choices"]).toEqual([
    {
      index: 0,
      text: "a",
      logprobs: { tokens: ["a"], token_logprobs: [-1], top_logprobs: [{ b: -2 }] },
      finish_reason: "stop",
    },
  ]);
});

test("however an answer was cut into parts, it is the same answer", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary" })), (pieces) => {
      const parts = pieces.map((text) => ({ index: 0, tokens: 1, text }));
      const joined = [{ index: 0, tokens: pieces.length, text: pieces.join("") }];
      const finishes = [stop];
      expect(wholeAnswer(head, { parts, finishes, counts })).toEqual(
        wholeAnswer(head, { parts: joined, finishes, counts }),
      );
    }),
  );
});
