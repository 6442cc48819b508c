import { expect, test } from "vitest";
import { onBeat } from "../../../worker-agent/tasks/beat.ts";

test("output that is due goes with the last beat before", () => {
  expect(onBeat(1_040, 50)).toBe(1_000);
  expect(onBeat(1_060, 50)).toBe(1_050);
});

test("whoever sent with a beat, late or a little early, sends with the next one", () => {
  for (const sentMs of [999, 1_000, 1_001, 1_049 - 2]) {
    expect(onBeat(sentMs + 50, 50)).toBe(1_050);
  }
});

test("attempts that are due within one pace send at one moment", () => {
  const beats = Array.from({ length: 40 }, (_, at) => onBeat(5_005 + at, 50));
  expect(new Set(beats)).toEqual(new Set([5_000]));
});

test("without a pace nothing waits for a beat", () => {
  expect(onBeat(1_234.5, 0)).toBe(1_234.5);
});
