import { describe, expect, test } from "vitest";
import { isPayable } from "../../../edge/hub/settling/closing-of.ts";
import { outputPartSchema } from "../../../shared/openai/output.ts";
import { terms } from "../billing/closings.ts";
import { closesOf, framesOf, HubScene, listing, task, taskId } from "./hub-scene.ts";
import { lastResult } from "./preflight-scene.ts";

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

test("the bytes of a log probability are a token's, and count as memory", () => {
  const logprob = (count: number) => {
    const bytes = Array.from({ length: count }, () => 1);
    return { token: "t", logprob: 0, bytes, top_logprobs: [] };
  };
  const part = (count: number) => ({ index: 0, tokens: 0, logprobs: [logprob(count)] });
  expect(outputPartSchema.safeParse(part(3_072)).success).toBe(true);
  expect(outputPartSchema.safeParse(part(3_073)).success).toBe(false);
  const scene = new HubScene({ outputMemoryMax: 100_000 });
  scene.join("w");
  scene.submit(task("a", { streamed: false }));
  const frame = { type: "task.delta", attempt: `${taskId("a")}.1` } as const;
  let taken = 0;
  for (; taken < 100; taken++) {
    const parts = [part(3_072)];
    if (closesOf(scene.send("w", { ...frame, seq: taken, parts })).length > 0) break;
  }
  expect(taken).toBe(4);
});

describe("a worker that answers a probe with more than it can be answered with", () => {
  /** Sends `part` for the open probe until the hub has had enough; gives how often. */
  function flood(scene: HubScene, attempt: string, part: object): number {
    for (let seq = 0; seq < 1_000; seq++) {
      const parts = [outputPartSchema.parse({ index: 0, tokens: 0, ...part })];
      const effects = scene.send("w", { type: "task.delta", attempt, seq, parts });
      expect(closesOf(effects)).toEqual([]);
      if (framesOf(effects, "task.cancel").length > 0) return seq;
    }
    throw new Error("the hub takes any amount");
  }

  function probed(abilities: string[]) {
    const scene = new HubScene({ preflight: true });
    let drawn = 0;
    // Two probes that are open at once have ids of their own.
    scene.random = () => (drawn++ % 97) / 97;
    scene.open("w");
    const listings = [listing({ abilities })];
    const published = scene.send("w", { type: "listing.publish", revision: 1, listings });
    const effects = [...published, ...scene.send("w", { type: "credit.grant", slots: 8 })];
    return { scene, offer: framesOf(effects, "task.offer")[0]?.attempt ?? "" };
  }

  test("fills no more memory with log probabilities than with text", () => {
    const { scene, offer } = probed(["chat"]);
    const bytes = Array.from({ length: 3_072 }, () => 1);
    const logprob = { token: "t", logprob: 0, bytes, top_logprobs: [] };
    const logprobs = Array.from({ length: 8 }, () => logprob);
    expect(flood(scene, offer, { logprobs })).toBeLessThan(12);
  });

  test("keeps its socket and the rest of what it claims, without that ability", () => {
    const { scene, offer } = probed(["images"]);
    const text = "x".repeat(16_000);
    flood(scene, offer, { text });
    const [again] = [...scene.state.attempts.values()].filter(({ id }) => id !== offer);
    flood(scene, again?.id ?? "", { text });
    scene.nowMs = 5_000;
    expect([...scene.state.attempts.values()].map(({ held }) => held)).toEqual([[], []]);
    const session = scene.state.sessions.get("w");
    expect(session?.vetting.claims).toMatchObject([
      {
        reason:
          "images does not work: It answers a small request with more than 1048576 bytes of output",
      },
    ]);
    expect(lastResult(scene.tick(5_000))).toBeUndefined();
    expect(scene.state.attempts.size + scene.state.tasks.size).toBe(0);
  });
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
  const hub = { workerId: "w", accountId: "acct_stranger", hubStartedMs: 10 };
  expect(isPayable(receipt, of, hub)).toBe(false);
  expect(isPayable({ ...receipt, attempt: "tsk_a.1" }, of, hub)).toBe(true);
  // What only own workers may answer is no stranger's to bring.
  const own = { ...of, limit: "0", own: true as const };
  expect(isPayable({ ...receipt, attempt: "tsk_a.1" }, own, hub)).toBe(false);
  const ownHub = { ...hub, accountId: of.account };
  expect(isPayable({ ...receipt, attempt: "tsk_a.1" }, own, ownHub)).toBe(true);
});
