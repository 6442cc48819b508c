import * as fc from "fast-check";
import { expect, test } from "vitest";
import { readPlainDelta } from "../../../shared/protocol/plain-delta.ts";
import { taskDeltaSchema } from "../../../shared/protocol/task.ts";

const attempt = `tsk_${"a".repeat(22)}.1`;

const anyNumber = fc.oneof(fc.integer({ min: -2, max: 200_000_000 }), fc.double());
const anyText = fc.oneof(fc.string(), fc.constant(null), fc.integer());
const anyPart = fc.oneof(
  fc.record({ index: anyNumber, tokens: anyNumber, text: anyText }),
  fc.record(
    {
      index: fc.nat(130),
      tokens: fc.nat(),
      text: fc.string(),
      reasoning: fc.string(),
      extra: fc.anything(),
    },
    { requiredKeys: ["index", "tokens"] },
  ),
  fc.anything(),
);
const anyDelta = fc.oneof(
  fc.record({
    type: fc.constantFrom("task.delta", "task.end"),
    attempt: fc.oneof(fc.constant(attempt), fc.string()),
    seq: anyNumber,
    parts: fc.oneof(fc.array(anyPart, { maxLength: 4 }), fc.anything()),
  }),
  fc.anything(),
);

test("what is read by hand is what the schema would have read", () => {
  fc.assert(
    fc.property(anyDelta, (value) => {
      const plain = readPlainDelta(value);
      if (plain !== null) expect(plain).toEqual(taskDeltaSchema.parse(value));
    }),
    { numRuns: 2_000 },
  );
});

test("a delta of plain text is read by hand", () => {
  const delta = {
    type: "task.delta",
    attempt,
    seq: 0,
    parts: [{ index: 0, tokens: 1, text: "Once" }],
  };
  expect(readPlainDelta(delta)).toEqual(delta);
});

test.each([
  ["reasoning", { index: 0, tokens: 1, text: "a", reasoning: "b" }],
  ["no text", { index: 0, tokens: 1 }],
  ["a fraction", { index: 0.5, tokens: 1, text: "a" }],
  ["a choice out of range", { index: 128, tokens: 1, text: "a" }],
])("a part with %s is left to the schema", (_what, part) => {
  expect(readPlainDelta({ type: "task.delta", attempt, seq: 0, parts: [part] })).toBeNull();
});
