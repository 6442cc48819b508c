import { describe, expect, test } from "vitest";
import type { UpFrame } from "../../../shared/protocol/frames.ts";
import type { TaskDelta, TaskEnd } from "../../../shared/protocol/task.ts";
import { gatherFrames } from "../../../worker-agent/connection/gather-frames.ts";
import { sampleReceipt } from "../../helpers/frames.ts";

const [a, b] = ["a", "b"].map((letter) => `tsk_${letter.repeat(22)}.1`) as [string, string];

const grant = (slots = 1): UpFrame => ({ type: "credit.grant", slots });
const accept = (attempt: string): UpFrame => ({ type: "task.accept", attempt });

function delta(attempt: string, seq: number, text: string): TaskDelta {
  return { type: "task.delta", attempt, seq, parts: [{ index: 0, tokens: 1, text }] };
}

function end(attempt: string, seq: number, parts: TaskEnd["parts"] = []): TaskEnd {
  return {
    type: "task.end",
    attempt,
    seq,
    parts,
    outcome: "complete",
    finishes: [{ index: 0, reason: "stop" }],
    usage: { prompt: 1, completion: 2, cached: 0 },
    receipt: { receipt: sampleReceipt, signature: "A".repeat(86) },
  };
}

describe("what is said at one moment", () => {
  test("of a whole answer is one frame: accepted, made and ended", () => {
    const frames = [accept(a), delta(a, 0, "Once "), delta(a, 1, "upon"), end(a, 2)];
    const parts = ["Once ", "upon"].map((text) => ({ index: 0, tokens: 1, text }));
    expect(gatherFrames(frames)).toEqual([end(a, 0, parts)]);
  });

  test("of several answers stays each one's own", () => {
    const frames = [delta(a, 4, "x"), delta(b, 0, "y"), end(a, 5), grant(), end(b, 1), grant()];
    expect(gatherFrames(frames)).toEqual([
      end(a, 4, [{ index: 0, tokens: 1, text: "x" }]),
      end(b, 0, [{ index: 0, tokens: 1, text: "y" }]),
      grant(2),
    ]);
  });

  test("of an answer that goes on is its output, which says that it was accepted", () => {
    expect(gatherFrames([accept(a), delta(a, 0, "x")])).toEqual([delta(a, 0, "x")]);
    expect(gatherFrames([accept(a), delta(b, 0, "x")])).toEqual([accept(a), delta(b, 0, "x")]);
  });

  test("of slots is said once all of them are free", () => {
    expect(gatherFrames([grant(3), end(a, 7), grant(), end(b, 1)])).toEqual([
      end(a, 7),
      grant(4),
      end(b, 1),
    ]);
    expect(gatherFrames([grant(3)])).toEqual([grant(3)]);
  });
});

test.each([
  ["would make a long frame", delta(a, 0, "x".repeat(20_000))],
  [
    "has probabilities",
    { ...delta(a, 0, ""), parts: [{ index: 0, tokens: 1, text: "x", logprobs: [] }] },
  ],
  [
    "has as many parts as a frame may",
    { ...delta(a, 0, ""), parts: Array.from({ length: 1024 }, () => delta(a, 0, "x").parts[0]) },
  ],
] as readonly [string, TaskDelta][])("output that %s is not joined to its end", (_why, output) => {
  const last = end(a, 1, [{ index: 0, tokens: 1, text: "y" }]);
  expect(gatherFrames([output, last])).toEqual([output, last]);
});

test("nothing is as little as there can be", () => {
  expect(gatherFrames([])).toEqual([]);
});
