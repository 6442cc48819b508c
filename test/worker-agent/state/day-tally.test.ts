import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Receipt } from "../../../shared/protocol/receipt.ts";
import { DayTally } from "../../../worker-agent/state/day-tally.ts";
import { RateMeter } from "../../../worker-agent/state/rate-meter.ts";
import type { AttemptSummary } from "../../../worker-agent/tasks/attempt.ts";
import { scratchFolder } from "../models/scratch-folder.ts";

const summary: AttemptSummary = {
  attempt: "tsk_0000000000000000000000.1",
  model: "words",
  outcome: "complete",
  promptTokens: 10,
  completionTokens: 5,
  startedMs: 0,
  firstTokenMs: 1,
  endedMs: 2,
};
const receipt: Receipt = {
  v: 1,
  attempt: summary.attempt,
  worker: "W".repeat(43),
  model: "0".repeat(64),
  prompt_hash: "0".repeat(64),
  output_hash: "0".repeat(64),
  outcome: "complete",
  prompt_tokens: 1_000_000,
  completion_tokens: 500_000,
  input_micros_per_million: 20_000,
  output_micros_per_million: 60_000,
  started_ms: 0,
  first_token_ms: 1,
  ended_ms: 2,
};

test("a day's tasks, tokens and earnings outlive a restart", async () => {
  await using scratch = await scratchFolder();
  const folder = scratch.path;
  const tally = await DayTally.open(folder, () => "2026-11-20");
  tally.attempt(summary);
  tally.attempt({ ...summary, outcome: "stopped" });
  tally.attempt({ ...summary, outcome: "refused" });
  tally.acknowledged(receipt);
  await tally.write();
  const again = await DayTally.open(folder, () => "2026-11-20");
  expect(again.tally).toEqual({
    date: "2026-11-20",
    tasks: { complete: 1, cancelled: 0, failed: 1 },
    prompt_tokens: 20,
    completion_tokens: 10,
    gross_micros: 50_000,
  });
});

test("another day begins with nothing", async () => {
  let date = "2026-11-20";
  await using scratch = await scratchFolder();
  const tally = await DayTally.open(scratch.path, () => date);
  tally.attempt(summary);
  date = "2026-11-21";
  tally.acknowledged(receipt);
  expect(tally.tally).toMatchObject({ date, prompt_tokens: 0, gross_micros: 50_000 });
});

test.for(["", "{", '{"date":"2026-11-20"}'])("a day kept as %j begins anew", async (text) => {
  await using scratch = await scratchFolder();
  const folder = scratch.path;
  writeFileSync(join(folder, "today.json"), text);
  const tally = await DayTally.open(folder, () => "2026-11-20");
  expect(tally.tally.gross_micros).toBe(0);
});

test("a steady rate is shown as it is, and fades when it stops", () => {
  const meter = new RateMeter();
  expect(meter.perSecond(0)).toBe(0);
  for (let ms = 0; ms <= 60_000; ms += 20) meter.add(1, ms);
  expect(meter.perSecond(60_000)).toBeCloseTo(50, 0);
  expect(meter.perSecond(63_500)).toBeCloseTo(25, 0);
  expect(meter.perSecond(120_000)).toBe(0);
});
