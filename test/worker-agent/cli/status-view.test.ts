import { expect, test } from "vitest";
import { describeStatus, duration } from "../../../worker-agent/cli/describe-status.ts";
import { LiveScreen } from "../../../worker-agent/cli/live-screen.ts";
import type { AgentStatus } from "../../../worker-agent/state/status-file.ts";
import { sampleModel, sampleNowMs, sampleStatus } from "./sample-status.ts";

const plain = { paint: (_style: string, text: string) => text };

function view(changes: Partial<AgentStatus> = {}): string {
  return describeStatus({ ...sampleStatus, ...changes }, plain, sampleNowMs).join("\n");
}

test("a status tells what runs, what it did and what it earned", () => {
  const said = view();
  expect(said).toContain("connected in weur, hub weur:0, for 1 h 0 min");
  expect(said).toContain("Work      takes tasks");
  expect(said).toMatch(/^llama +listed +1\/4 +41\.3 +7 +2 +4096 +Q8_0 +llama\.cpp$/m);
  expect(said).toContain("Now       41.3 tokens/s, 1 tasks running");
  expect(said).toContain("12,345 tokens read, 6,789 written; 0.0654 credits at list price");
  expect(said).toContain("in 2 h 0 min; 3 receipts not acknowledged yet; 200 MiB of memory");
  expect(said).not.toContain("Last lost");
});

test("whoever gets no work reads why, and until when", () => {
  const closed = {
    kind: "closed",
    cause: "hours",
    reason: "outside its hours (22:00-07:00)",
    since_ms: 0,
    until_ms: sampleNowMs + 7 * 3_600_000,
  } as const;
  expect(view({ availability: closed })).toContain("hours (22:00-07:00), for 7 h 0 min more");
  expect(view({ no_work: "no connection to the edge" })).toContain("no connection to the edge");
});

test("a model that is not listed says why below the table", () => {
  const failing = {
    ...sampleModel,
    health: "failing",
    listed: false,
    not_listed: "the GPU is gone",
  } as const;
  const said = view({ models: [failing, { ...sampleModel, name: "b", health: "unloaded" }] });
  expect(said).toMatch(/^llama +failing/m);
  expect(said).toMatch(/^b +asleep/m);
  expect(said).toContain("llama: the GPU is gone");
  const unserved = [{ name: "big", reason: "it needs 80 GiB" }];
  expect(view({ unserved })).toContain("big: it needs 80 GiB");
});

test("the last loss of the connection is told with its reason", () => {
  const lost = { at_ms: sampleNowMs - 90_000, kind: "disconnected", detail: "1006", code: 1006 };
  expect(view({ connections: [{ ...lost, kind: "disconnected" }] })).toContain(
    "Last lost 1 min ago: 1006",
  );
});

test.for([
  [-5, "0 s"],
  [59_400, "59 s"],
  [60_000, "1 min"],
  [3_599_000, "59 min"],
  [3_600_000 * 25, "1 d 1 h"],
] as const)("%i ms is %s", ([ms, said]) => {
  expect(duration(ms)).toBe(said);
});

test("a live screen draws in one write, within the terminal, and leaves it as it was", () => {
  const writes: string[] = [];
  const stream = { columns: 10, rows: 4, write: (text: string) => writes.push(text) };
  const screen = new LiveScreen(stream);
  screen.draw(["short", "\u001b[1mmuch too long for it\u001b[22m", "three", "four", "five"]);
  screen.close();
  expect(writes).toHaveLength(3);
  const [entered = "", drawn = "", left = ""] = writes;
  expect(entered).toContain("\u001b[?1049h");
  expect(left).toContain("\u001b[?1049l");
  expect(drawn).toContain("short");
  expect(drawn).toContain("much too …");
  expect(drawn).toContain("three");
  expect(drawn).not.toContain("four");
});

test("a terminal that does not know its size gets the customary one", () => {
  const writes: string[] = [];
  const stream = { columns: 0, rows: 0, write: (text: string) => writes.push(text) };
  new LiveScreen(stream).draw(["x".repeat(80), "second"]);
  expect(writes[1]).toContain("x".repeat(80));
  expect(writes[1]).toContain("second");
});
