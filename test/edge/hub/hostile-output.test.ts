import { expect, test } from "vitest";
import { isPayable } from "../../../edge/hub/closing-of.ts";
import { closesOf, HubScene, task, taskId } from "./hub-scene.ts";
import { terms } from "../billing/closings.ts";

test("a worker cannot fill the hub's memory with log probabilities that count as no text", () => {
  const scene = new HubScene({ outputMemoryMax: 100_000 });
  scene.join("w");
  scene.submit(task("a", { streamed: false }));
  const logprob = { token: "", logprob: 0, bytes: null, top_logprobs: [] };
  const parts = [{ index: 0, tokens: 0, logprobs: Array.from({ length: 1_000 }, () => logprob) }];
  const attempt = `${taskId("a")}.1`;
  expect(closesOf(scene.send("w", { type: "task.delta", attempt, seq: 0, parts }))).toEqual([]);
  const effects = scene.send("w", { type: "task.delta", attempt, seq: 1, parts });
  expect(closesOf(effects)).toHaveLength(1);
});

test.each(["0", "-1", "NaN", "Infinity", "1.5"])("attempt %s of a task is never paid", (number) => {
  const of = { ...terms("tsk_a"), created_ms: 0 };
  const receipt = {
    v: 1,
    attempt: `tsk_a.${number}`,
    worker: "w",
    model: "",
    prompt_hash: "",
    output_hash: "",
    outcome: "complete",
    prompt_tokens: 1,
    completion_tokens: 1,
    input_micros_per_million: 1,
    output_micros_per_million: 1,
    started_ms: 0,
    first_token_ms: 0,
    ended_ms: 0,
  } as const;
  const hub = { workerId: "w", hubStartedMs: 10 };
  expect(isPayable(receipt, of, hub)).toBe(false);
  expect(isPayable({ ...receipt, attempt: "tsk_a.1" }, of, hub)).toBe(true);
});
