import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AnswerHead } from "../../../edge/inference/answer-head.ts";
import {
  doneEvent,
  errorAnswer,
  errorEvent,
  eventsBehind,
  keepAliveEvent,
  StreamEvents,
} from "../../../edge/inference/stream-events.ts";
import type { OutputPart } from "../../../shared/openai/output.ts";

const head: AnswerHead = {
  kind: "chat",
  taskId: "tsk_abc",
  createdMs: 1_234_567,
  model: "m",
  digest: "d".repeat(64),
};

/** The JSON values behind a text of events, each of which has to be one line of data. */
function valuesOf(events: string): Record<string, unknown>[] {
  const all = events.split("\n\n");
  expect(all.pop()).toBe("");
  return all.map((event) => {
    expect(event).toMatch(/^(id: weur:3:\d+\n)?data: [^\r\n]*$/);
    return JSON.parse(event.slice(event.indexOf("data: ") + "data: ".length)) as Record<
      string,
      unknown
    >;
  });
}

describe("a streamed chat answer", () => {
  test("begins each choice with its role, once", () => {
    const events = new StreamEvents(head, false, "weur:3");
    const values = valuesOf(
      events.parts([
        { index: 0, tokens: 1, text: "a" },
        { index: 1, tokens: 1, text: "b" },
        { index: 0, tokens: 1, text: "c" },
      ]),
    );
    expect(values.map((value) => value["choices"])).toEqual([
      [
        {
          index: 0,
          delta: { role: "assistant", content: "a" },
          logprobs: null,
          finish_reason: null,
        },
      ],
      [
        {
          index: 1,
          delta: { role: "assistant", content: "b" },
          logprobs: null,
          finish_reason: null,
        },
      ],
      [{ index: 0, delta: { content: "c" }, logprobs: null, finish_reason: null }],
    ]);
    expect(values[0]).toMatchObject({
      id: "chatcmpl-abc",
      object: "chat.completion.chunk",
      created: 1_234,
      model: "m",
      system_fingerprint: "fp_dddddddddddd",
    });
  });

  test("carries reasoning, tool calls and log probabilities", () => {
    const entry = { token: "a", logprob: -1, bytes: [97], top_logprobs: [] };
    const part: OutputPart = {
      index: 0,
      tokens: 1,
      reasoning: "hm",
      tool_calls: [{ index: 0, id: "call", name: "f", arguments: "{" }],
      logprobs: [entry],
    };
    const [value] = valuesOf(new StreamEvents(head, false, "weur:3").parts([part]));
    expect(value?.["choices"]).toEqual([
      {
        index: 0,
        delta: {
          role: "assistant",
          reasoning_content: "hm",
          content: null,
          tool_calls: [
            { index: 0, id: "call", type: "function", function: { name: "f", arguments: "{" } },
          ],
        },
        logprobs: { content: [entry], refusal: null },
        finish_reason: null,
      },
    ]);
  });

  test("says of usage that it is to come, then tells it, where it was asked for", () => {
    const events = new StreamEvents(head, true, "weur:3");
    const [chunk] = valuesOf(events.parts([{ index: 0, tokens: 1, text: "a" }]));
    expect(chunk?.["usage"]).toBeNull();
    const [last] = valuesOf(events.usage({ promptTokens: 3, completionTokens: 4 }));
    const usage = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 };
    expect(last).toMatchObject({ choices: [], usage });
  });

  test("of nothing still has a role and an ending", () => {
    const [value] = valuesOf(
      new StreamEvents(head, false, "weur:3").finishes([{ index: 0, reason: "stop" }]),
    );
    expect(value?.["choices"]).toMatchObject([
      { index: 0, delta: { role: "assistant", content: "" }, finish_reason: "stop" },
    ]);
  });
});

test("a streamed text completion has text where a chat has deltas", () => {
  const events = new StreamEvents({ ...head, kind: "completion" }, false, "weur:3");
  const text = events.parts([{ index: 0, tokens: 1, text: "a" }]);
  const [first, last] = valuesOf(text + events.finishes([{ index: 0, reason: "length" }]));
  const choice = { index: 0, text: "a", logprobs: null, finish_reason: null };
  expect(first).toMatchObject({ id: "cmpl-abc", object: "text_completion", choices: [choice] });
  expect(last?.["choices"]).toEqual([{ ...choice, text: "", finish_reason: "length" }]);
});

describe("an answer that broke off", () => {
  test("ends with an error that a client of chunks sees too, and never with [DONE]", () => {
    const error = { code: "worker_failed", message: "gone" } as const;
    const event = errorEvent(error, errorAnswer(head));
    expect(event).not.toContain(doneEvent);
    expect(valuesOf(event)).toEqual([
      {
        id: "chatcmpl-abc",
        object: "chat.completion.chunk",
        model: "m",
        created: 1_234,
        choices: [{ index: 0, delta: {}, logprobs: null, finish_reason: "error" }],
        error: { message: "gone", type: "server_error", param: null, code: "worker_failed" },
      },
    ]);
  });

  test("of a text completion has a text", () => {
    const error = { code: "unavailable", message: "gone" } as const;
    const event = errorEvent(error, errorAnswer({ ...head, kind: "completion" }));
    expect(valuesOf(event)[0]?.["choices"]).toMatchObject([{ text: "", finish_reason: "error" }]);
  });

  test("cannot be told by a worker's message to look whole", () => {
    const message = "\n\ndata: [DONE]\n\n";
    const event = errorEvent({ code: "worker_failed", message }, errorAnswer(head));
    expect(valuesOf(event)).toHaveLength(1);
  });
});

test("a keep-alive is a comment, which clients skip", () => {
  expect(keepAliveEvent).toMatch(/^:[^\n]*\n\n$/);
});

describe("nothing a worker says begins an event of its own", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom("\n\ndata: [DONE]\n\n", "\r\ndata: {}", "\rid: 1", '"}]}', "\u2028", "\ud83e"),
  );
  const part: fc.Arbitrary<OutputPart> = fc.record({
    index: fc.nat(3),
    tokens: fc.constant(1),
    text,
    reasoning: text,
    tool_calls: fc.array(fc.record({ index: fc.nat(3), id: text, name: text, arguments: text }), {
      maxLength: 2,
    }),
    logprobs: fc.array(
      fc.record({
        token: text,
        logprob: fc.double({ noNaN: true, noDefaultInfinity: true }),
        bytes: fc.constant(null),
        top_logprobs: fc.constant([]),
      }),
      { maxLength: 2 },
    ),
  });

  test.each(["chat", "completion"] as const)("in a %s, and what it says arrives", (kind) => {
    fc.assert(
      fc.property(fc.array(part), text, fc.boolean(), (parts, model, usage) => {
        const values = valuesOf(
          new StreamEvents({ ...head, kind, model }, usage, "weur:3").parts(parts),
        );
        expect(values).toHaveLength(parts.length);
        for (const [at, value] of values.entries()) {
          expect(value["model"]).toBe(model);
          const [choice] = value["choices"] as { text?: string; delta?: { content?: string } }[];
          expect(choice?.text ?? choice?.delta?.content).toBe(parts[at]?.text);
        }
      }),
    );
  });
});

describe("events behind an id", () => {
  test("are all that follow it, and nothing of it", () => {
    const events = new StreamEvents(head, false, "weur:3");
    const texts = ["a", "b\n\nid: weur:3:2\n", "c"];
    const whole = texts.map((text) => events.parts([{ index: 0, tokens: 1, text }]));
    const text = whole.join("") + events.done();
    for (let place = 0; place <= 3; place++) {
      const rest = whole.slice(place).join("");
      expect(eventsBehind(text, { hubId: "weur:3", place })).toBe(
        `${rest}id: weur:3:4\n${doneEvent}`,
      );
    }
    expect(eventsBehind(text, { hubId: "weur:3", place: 4 })).toBe("");
  });

  test("are none that anybody knows where the stream never came so far, or is another hub's", () => {
    const events = new StreamEvents(head, false, "weur:3");
    const text = events.parts([{ index: 0, tokens: 1, text: "a" }]);
    expect(eventsBehind(text, { hubId: "weur:3", place: 2 })).toBe(null);
    expect(eventsBehind(text, { hubId: "weur:31", place: 1 })).toBe(null);
    expect(eventsBehind(text, { hubId: "eur:3", place: 1 })).toBe(null);
  });
});
