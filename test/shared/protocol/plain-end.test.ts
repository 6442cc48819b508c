import * as fc from "fast-check";
import { expect, test } from "vitest";
import { readPlainEnd } from "../../../shared/protocol/plain-end.ts";
import { taskEndSchema } from "../../../shared/protocol/task.ts";
import { sampleReceipt } from "../../helpers/frames.ts";

const end = {
  type: "task.end",
  attempt: `tsk_${"a".repeat(22)}.1`,
  seq: 1,
  parts: [{ index: 0, tokens: 2, text: "Once upon" }],
  outcome: "complete",
  finishes: [{ index: 0, reason: "stop" }],
  usage: { prompt: 3, completion: 2, cached: 0 },
  receipt: { receipt: sampleReceipt, signature: "A".repeat(86) },
};

/** Every place in a value, as the way to it. */
function placesIn(value: unknown): string[][] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => [
    [key],
    ...placesIn(member).map((place) => [key, ...place]),
  ]);
}

function changed(value: unknown, [key, ...rest]: readonly string[], to: unknown): unknown {
  if (key === undefined) return to;
  const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) }) as {
    [key: string]: unknown;
  };
  if (rest.length === 0 && to === undefined) delete copy[key];
  else copy[key] = changed(copy[key], rest, to);
  return copy;
}

const anyValue = fc.oneof(
  fc.constantFrom(-1, 0, -0, 1.5, 127, 128, 1024, 100_000_000, 100_000_001, 1e9 + 1, 2 ** 53),
  fc.constantFrom(null, undefined, "", "complete", "cancelled", "length", "task.delta", "\ud800"),
  fc.constantFrom("f".repeat(64), "F".repeat(64), "A".repeat(43), "A".repeat(86), "x".repeat(65)),
  fc.anything(),
);
const anyPlace = fc.oneof(
  fc.constantFrom(...placesIn(end)),
  fc.constantFrom(["more"], ["parts", "1"], ["usage", "more"], ["receipt", "receipt", "more"]),
);

test("what is read by hand is what the schema would have read", () => {
  const changes = fc.array(fc.tuple(anyPlace, anyValue), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(changes, (list) => {
      let value: unknown = end;
      for (const [place, to] of list) {
        try {
          value = changed(value, place, to);
        } catch {
          // An earlier change left nothing at this place.
        }
      }
      const plain = readPlainEnd(value);
      if (plain !== null) expect(plain).toEqual(taskEndSchema.parse(value));
    }),
    { numRuns: 5_000 },
  );
});

test("the end of a whole answer of plain text is read by hand", () => {
  expect(readPlainEnd(end)).toEqual(taskEndSchema.parse(end));
  expect(readPlainEnd({ ...end, parts: [] })).toEqual(taskEndSchema.parse({ ...end, parts: [] }));
});

test.each([
  ["a cancelled answer", ["outcome"], "cancelled"],
  ["logprobs", ["parts", "0", "logprobs"], []],
  ["a field of its own", ["more"], 1],
  ["a usage with a field of its own", ["usage", "more"], 1],
  ["a receipt with a field of its own", ["receipt", "receipt", "more"], 1],
])("the end of %s is left to the schema", (_what, place, to) => {
  expect(readPlainEnd(changed(end, place, to))).toBeNull();
});
