import { expect, test } from "vitest";
import { taskBytesMax } from "../../../shared/protocol/limits.ts";
import { AttemptDriver, attempt, makeOffer, usage } from "./attempt-driver.ts";

test("the first part goes out at once, later ones are gathered for the pace and merged", () => {
  const driver = new AttemptDriver();
  driver.part({ text: "a" });
  expect(driver.types()).toEqual(["task.accept", "task.delta"]);
  driver.pass(10);
  driver.part({ text: "b" });
  driver.part({ text: "c", reasoning: "r" });
  expect(driver.frames).toHaveLength(2);
  expect(driver.timerAtMs).toBe(1_050);
  driver.pass(40);
  expect(driver.frames[2]).toEqual({
    type: "task.delta",
    attempt,
    seq: 1,
    parts: [{ index: 0, tokens: 2, text: "bc", reasoning: "r" }],
  });
});

test("a model slower than the pace is never delayed", () => {
  const driver = new AttemptDriver();
  for (const text of ["a", "b", "c"]) {
    driver.part({ text });
    driver.pass(100);
  }
  expect(driver.types()).toEqual(["task.accept", "task.delta", "task.delta", "task.delta"]);
  expect(driver.effects.some(({ kind }) => kind === "set-timer")).toBe(false);
});

test("a part that holds nothing yet waits for the one that does", () => {
  const driver = new AttemptDriver();
  driver.part({ tokens: 1 });
  expect(driver.types()).toEqual(["task.accept"]);
  driver.part({ tokens: 1, text: "ab" });
  expect(driver.parts).toEqual([{ index: 0, tokens: 2, text: "ab" }]);
});

test("the rest of an answer travels inside its end, after the receipt is signed", () => {
  const driver = new AttemptDriver();
  driver.part({ text: "a" });
  driver.part({ text: "b" });
  driver.end();
  expect(driver.draft).toMatchObject({ outcome: "complete", parts: [{ text: "b" }] });
  expect(driver.timerAtMs).toBeNull();
  expect(driver.types()).toEqual(["task.accept", "task.delta"]);
  driver.seal();
  expect(driver.types()).toEqual(["task.accept", "task.delta", "task.end"]);
  expect(driver.frames.at(-1)).toMatchObject({ seq: 1, usage, parts: [{ text: "b" }] });
  expect(driver.effects.at(-1)).toMatchObject({ kind: "over", summary: { outcome: "complete" } });
});

test("choices that alternate keep their parts apart", () => {
  const driver = new AttemptDriver();
  driver.part({ text: "a" });
  driver.part({ index: 1, text: "b" });
  driver.part({ index: 1, text: "c" });
  driver.part({ index: 0, text: "d" });
  driver.end();
  expect(driver.draft?.parts).toEqual([
    { index: 1, tokens: 2, text: "bc" },
    { index: 0, tokens: 1, text: "d" },
  ]);
});

test("log probabilities and tool calls are joined in order", () => {
  const driver = new AttemptDriver();
  const entry = (token: string) => ({ token, logprob: -1, bytes: null, top_logprobs: [] });
  driver.part({ text: "a" });
  driver.part({ text: "b", logprobs: [entry("b")] });
  driver.part({ text: "c", logprobs: [entry("c")], tool_calls: [{ index: 0, name: "f" }] });
  driver.part({ tool_calls: [{ index: 0, arguments: "{" }] });
  driver.part({
    tool_calls: [
      { index: 0, arguments: "}" },
      { index: 1, name: "g" },
    ],
  });
  driver.end();
  expect(driver.draft?.parts).toEqual([
    {
      index: 0,
      tokens: 4,
      text: "bc",
      // The pieces of one call's arguments are one piece, as those of a text are.
      tool_calls: [
        { index: 0, name: "f", arguments: "{}" },
        { index: 1, name: "g" },
      ],
      logprobs: [entry("b"), entry("c")],
    },
  ]);
});

test("a used-up window stops the engine being pulled, and opening it goes on where it stopped", () => {
  const driver = new AttemptDriver(makeOffer({ window_bytes: 3 }), 0);
  driver.part({ text: "abcd", tokens: 4 });
  expect(driver.parts).toEqual([{ index: 0, tokens: 3, text: "abc" }]);
  expect(driver.isPulled).toBe(false);
  driver.tell({ kind: "window", bytes: 10 });
  expect(driver.isPulled).toBe(true);
  expect(driver.parts.at(-1)).toEqual({ index: 0, tokens: 1, text: "d" });
});

test("a window that ends inside a character waits for room, without a timer", () => {
  const driver = new AttemptDriver(makeOffer({ window_bytes: 3 }), 0);
  driver.part({ text: "a😀" });
  expect(driver.parts.map(({ text }) => text)).toEqual(["a"]);
  expect(driver.timerAtMs).toBeNull();
  driver.tell({ kind: "window", bytes: 2 });
  expect(driver.parts.map(({ text }) => text)).toEqual(["a", "😀"]);
});

test("an end that does not fit the window comes when it does", () => {
  const driver = new AttemptDriver(makeOffer({ window_bytes: 2 }), 0);
  driver.part({ text: "ab", tokens: 2 });
  expect(driver.isPulled).toBe(false);
  driver.tell({ kind: "window", bytes: 1 });
  driver.part({ text: "cdef", tokens: 4 });
  driver.tell({ kind: "window", bytes: 1 });
  driver.tell({ kind: "window", bytes: 2 });
  driver.tell({ kind: "window", bytes: 9 });
  driver.end();
  driver.seal();
  expect(driver.parts.map(({ text }) => text).join("")).toBe("abcdef");
});

test("a cancel drops what is gathered, and its end counts what was sent", () => {
  const driver = new AttemptDriver();
  driver.part({ text: "a" });
  driver.part({ text: "b" });
  driver.tell({ kind: "cancel" });
  expect(driver.isHalted).toBe(true);
  driver.part({ text: "c" });
  driver.end({ prompt: 3, completion: 3, cached: 1 });
  driver.seal();
  expect(driver.frames.at(-1)).toMatchObject({
    type: "task.end",
    outcome: "cancelled",
    parts: [],
    finishes: [],
    usage: { prompt: 3, completion: 1, cached: 1 },
  });
});

test("a cancel while the window is used up still reaches the engine's end", () => {
  const driver = new AttemptDriver(makeOffer({ window_bytes: 1 }), 0);
  driver.part({ text: "ab" });
  expect(driver.isPulled).toBe(false);
  driver.tell({ kind: "cancel" });
  expect(driver.isPulled).toBe(true);
  driver.end();
  driver.seal();
  expect(driver.types().at(-1)).toBe("task.end");
});

test("a cancel that comes after the engine has ended is answered by that end", () => {
  const driver = new AttemptDriver();
  driver.part({ text: "a" });
  driver.end();
  driver.tell({ kind: "cancel" });
  driver.seal();
  expect(driver.frames.at(-1)).toMatchObject({ outcome: "complete", usage });
});

test("a cancel before the body has come ends with nothing used", () => {
  const driver = new AttemptDriver(makeOffer({ body: "{", body_parts: 2 }));
  driver.tell({ kind: "cancel" });
  driver.seal();
  expect(driver.frames.at(-1)).toMatchObject({
    outcome: "cancelled",
    usage: { prompt: 0, completion: 0 },
  });
});

test("a failure sends what was made before it, then says why", () => {
  const driver = new AttemptDriver();
  driver.part({ text: "a" });
  driver.part({ text: "b" });
  driver.tell({ kind: "failed", code: "out_of_memory", message: "x".repeat(600) });
  expect(driver.types()).toEqual(["task.accept", "task.delta", "task.delta", "task.fail"]);
  expect(driver.frames.at(-1)).toMatchObject({ seq: 2, message: "x".repeat(500) });
  expect(driver.summary).toMatchObject({ outcome: "failed", completionTokens: 2 });
});

test("an attempt whose socket is gone sends nothing more and keeps no receipt of a broken answer", () => {
  const driver = new AttemptDriver();
  driver.part({ text: "a" });
  driver.part({ text: "b" });
  const sent = driver.frames.length;
  driver.tell({ kind: "lost" });
  driver.end();
  expect(driver.draft).toMatchObject({ outcome: "cancelled", completionTokens: 1, parts: [] });
  driver.seal();
  expect(driver.frames).toHaveLength(sent);
  expect(driver.effects.some(({ kind }) => kind === "keep")).toBe(false);
  expect(driver.summary?.outcome).toBe("lost");
});

test("an attempt lost before its first token keeps no receipt", () => {
  const driver = new AttemptDriver();
  driver.tell({ kind: "lost" });
  driver.end();
  expect(driver.effects.some(({ kind }) => kind === "seal" || kind === "keep")).toBe(false);
  expect(driver.summary?.outcome).toBe("lost");
});

test("an attempt lost while its receipt is signed sends nothing and keeps none: its end was never said", () => {
  const driver = new AttemptDriver();
  driver.part({ text: "a" });
  driver.end();
  driver.tell({ kind: "lost" });
  driver.seal();
  expect(driver.types()).toEqual(["task.accept", "task.delta"]);
  expect(driver.effects.some(({ kind }) => kind === "keep")).toBe(false);
});

test("a worker that leaves fails the attempt at once, and is over when the engine has stopped", () => {
  const driver = new AttemptDriver();
  driver.part({ text: "a" });
  driver.tell({ kind: "stop" });
  expect(driver.frames.at(-1)).toMatchObject({ type: "task.fail", code: "engine_failed", seq: 1 });
  expect(driver.summary).toBeNull();
  driver.end();
  expect(driver.summary?.outcome).toBe("stopped");
  expect(driver.types().at(-1)).toBe("task.fail");
});

test.for([
  ["no JSON", "{"],
  ["no messages", '{"model":"words"}'],
])("a body that is %s is refused", ([, body]) => {
  const driver = new AttemptDriver(makeOffer({ body: body ?? "" }));
  expect(driver.frames).toEqual([{ type: "task.refuse", attempt, reason: "malformed" }]);
  expect(driver.summary?.outcome).toBe("refused");
});

test("a body in parts is joined in order; a repeat and a gap have no effect", () => {
  const body = '{"model":"words","messages":[{"role":"user","content":"hello"}]}';
  const offer = makeOffer({ body: body.slice(0, 10), body_parts: 3 });
  const driver = new AttemptDriver(offer);
  expect(driver.types()).toEqual(["task.accept"]);
  driver.tell({ kind: "body", part: 2, text: body.slice(20) });
  driver.tell({ kind: "body", part: 1, text: body.slice(10, 20) });
  driver.tell({ kind: "body", part: 1, text: body.slice(10, 20) });
  expect(driver.isPulled).toBe(false);
  driver.tell({ kind: "body", part: 2, text: body.slice(20) });
  expect(driver.isPulled).toBe(true);
  expect(driver.state.body).toBe(body);
});

test("a body in parts that turns out malformed or too long fails, since it was accepted", () => {
  const malformed = new AttemptDriver(makeOffer({ body: "{", body_parts: 2 }));
  malformed.tell({ kind: "body", part: 1, text: "x" });
  expect(malformed.frames.at(-1)).toMatchObject({ type: "task.fail", code: "invalid_request" });
  const long = new AttemptDriver(makeOffer({ body: "{", body_parts: 9 }));
  long.tell({ kind: "body", part: 1, text: "x".repeat(taskBytesMax) });
  expect(long.frames.at(-1)).toMatchObject({ type: "task.fail", code: "invalid_request" });
});

test("the pace of a newer offer counts from the next output on", () => {
  const driver = new AttemptDriver();
  driver.part({ text: "a" });
  driver.tell({ kind: "paced", paceMs: 100 });
  driver.part({ text: "b" });
  expect(driver.timerAtMs).toBe(1_100);
});
