import { describe, expect, test } from "vitest";
import type { HubEffect } from "../../../edge/hub/hub-state.ts";
import type { InferenceTask } from "../../../edge/inference/task.ts";
import {
  closesOf,
  endFrame,
  endingsOf,
  framesOf,
  howEnded,
  HubScene,
  offersOf,
  task,
  taskId,
} from "./hub-scene.ts";

const attempt = `${taskId("a")}.1`;

/** A task on worker `v`, with `w` beside it. */
function running(changes: Partial<InferenceTask> = {}, config = {}): HubScene {
  const scene = new HubScene(config);
  scene.join("v");
  scene.join("w");
  scene.submit(task("a", changes));
  return scene;
}

function kinds(effects: readonly HubEffect[]): string[] {
  return effects.map((effect) => effect.kind);
}

function delivered(effects: readonly HubEffect[]): string {
  return effects
    .flatMap((effect) => (effect.kind === "deliver" ? effect.parts : []))
    .map((part) => part.text)
    .join("");
}

describe("output", () => {
  test("begins the response once and is delivered as it comes", () => {
    const scene = running();
    expect(kinds(scene.delta("v", attempt, 0, "a"))).toEqual(["started", "deliver"]);
    expect(kinds(scene.delta("v", attempt, 1, "b"))).toEqual(["deliver"]);
  });

  test("of a whole answer is held until its end, under a window that follows it", () => {
    const scene = running({ streamed: false }, { windowBytes: 4 });
    expect(kinds(scene.delta("v", attempt, 0, "abc"))).toEqual(["send"]);
    const [ending] = endingsOf(scene.end("v", attempt, 1));
    if (ending?.kind !== "answered") throw new Error("it is answered");
    expect(ending.attempt.held.map(({ text }) => text)).toEqual(["abc"]);
  });

  test("out of turn has no effect: repeated, skipped, late, or from another session", () => {
    const scene = running();
    scene.delta("v", attempt, 0, "a");
    expect(scene.delta("v", attempt, 0, "again")).toEqual([]);
    expect(scene.delta("v", attempt, 2, "early")).toEqual([]);
    expect(scene.delta("w", attempt, 1, "stranger")).toEqual([]);
    expect(delivered(scene.delta("v", attempt, 1, "b"))).toBe("b");
    scene.end("v", attempt, 2);
    expect(scene.delta("v", attempt, 3, "late")).toEqual([]);
    expect(scene.end("v", attempt, 2)).toEqual([]);
  });

  test("is granted again once the consumer has read half a window", () => {
    const scene = running({}, { windowBytes: 10 });
    scene.delta("v", attempt, 0, "1234");
    const { id } = task("a");
    expect(scene.step({ kind: "consumer.reads", taskId: id })).toEqual([]);
    scene.delta("v", attempt, 1, "5");
    const effects = scene.step({ kind: "consumer.reads", taskId: id });
    expect(framesOf(effects, "task.window")).toEqual([{ type: "task.window", attempt, bytes: 5 }]);
  });

  test("beyond the window closes the worker's socket and keeps nothing of it", () => {
    const scene = running({}, { windowBytes: 10 });
    const effects = scene.delta("v", attempt, 0, "12345678901");
    expect(closesOf(effects)[0]).toMatch(/^v malformed: .* granted 10 bytes/);
    expect(delivered(effects)).toBe("");
    expect(offersOf(effects)).toEqual(["w .2"]);
  });

  test("of a choice that was not asked for closes the worker's socket", () => {
    const parts = [{ index: 1, tokens: 1, text: "x" }];
    const effects = running().send("v", { type: "task.delta", attempt, seq: 0, parts });
    expect(closesOf(effects)[0]).toMatch(/^v malformed: .* choice 1 was not asked for/);
    expect(offersOf(effects)).toEqual(["w .2"]);
  });

  test("longer than any answer closes the worker's socket", () => {
    const scene = running({ streamed: false }, { outputBytesMax: 5 });
    expect(closesOf(scene.delta("v", attempt, 0, "123456"))).toHaveLength(1);
  });
});

describe("an answer that its worker's filter ended", () => {
  test("is an answer: nobody else is asked for what one has refused to say", () => {
    const scene = running();
    scene.delta("v", attempt, 0, "I cannot");
    const finishes = [{ index: 0, reason: "content_filter" as const }];
    const effects = scene.end("v", attempt, 1, { finishes });
    expect([howEnded(effects), offersOf(effects)]).toEqual(["answered", []]);
    expect(endingsOf(effects)[0]).toMatchObject({ finishes });
  });
});

describe("once output has left", () => {
  test("a lost worker that nobody can follow ends the task with an error in the end", () => {
    const scene = running();
    scene.delta("v", attempt, 0, "a");
    const effects = scene.step({ kind: "session.closed", sessionId: "v", reason: "" });
    expect([howEnded(effects), offersOf(effects)]).toEqual(["", []]);
    expect(howEnded(scene.tick(9_999))).toBe("");
    expect(howEnded(scene.tick(10_000))).toBe("worker_failed");
  });

  test("a worker that stalls is told to stop and the task ends with an error", () => {
    const scene = running({}, { stallMs: 1_000 });
    scene.delta("v", attempt, 0, "a");
    expect(scene.tick(999)).toEqual([]);
    const effects = scene.tick(1_000);
    expect(framesOf(effects, "task.cancel")[0]?.reason).toBe("stalled");
    expect(howEnded(effects)).toBe("worker_failed");
  });

  test("a refusal or a fault of the request is the worker's failure", () => {
    const refused = running();
    refused.delta("v", attempt, 0, "a");
    const refusal = { type: "task.refuse", attempt, reason: "busy" } as const;
    expect(howEnded(refused.send("v", refusal))).toBe("worker_failed");
    const failed = running();
    failed.delta("v", attempt, 0, "a");
    const code = "invalid_request" as const;
    const failure = { type: "task.fail", attempt, seq: 1, code, message: "" } as const;
    expect(howEnded(failed.send("v", failure))).toBe("worker_failed");
  });

  test("a worker that stops by itself has not answered", () => {
    const scene = running();
    scene.delta("v", attempt, 0, "a");
    expect(howEnded(scene.end("v", attempt, 1, { outcome: "cancelled" }))).toBe("worker_failed");
  });

  test("a whole answer in the making is still made anew elsewhere", () => {
    const scene = running({ streamed: false });
    scene.delta("v", attempt, 0, "a");
    const effects = scene.step({ kind: "session.closed", sessionId: "v", reason: "" });
    expect(offersOf(effects)).toEqual(["w .2"]);
  });
});

describe("the end", () => {
  test("bills the least of the claim, the bytes delivered and the tokens asked for", () => {
    const usage = { prompt: 1_000, completion: 1_000, cached: 0 };
    const scene = running();
    scene.delta("v", attempt, 0, "12345");
    const [ending] = endingsOf(scene.end("v", attempt, 1, { usage }));
    expect(ending).toMatchObject({ counts: { promptTokens: 50, completionTokens: 5 } });
    const short = running({ completionTokensMax: 3 });
    short.delta("v", attempt, 0, "12345");
    const [shorter] = endingsOf(short.end("v", attempt, 1, { usage }));
    expect(shorter).toMatchObject({ counts: { completionTokens: 3 } });
  });

  test("without any output is an answer of nothing", () => {
    const effects = running().end("v", attempt, 0);
    expect(kinds(effects)).toEqual(["started", "ended"]);
    expect(endingsOf(effects)[0]).toMatchObject({ counts: { completionTokens: 0 } });
  });

  test.each([
    "attempt",
    "worker",
    "model",
    "outcome",
    "prompt_tokens",
    "completion_tokens",
    "input_micros_per_million",
    "output_micros_per_million",
  ] as const)(
    "under a receipt with a wrong %s closes the socket, and another is asked",
    (field) => {
      const frame = endFrame("v", attempt, 0);
      const { receipt } = frame.receipt;
      const wrong = typeof receipt[field] === "number" ? 77 : "cancelled";
      const bent = { ...receipt, [field]: wrong } as typeof receipt;
      const effects = running().send("v", {
        ...frame,
        receipt: { ...frame.receipt, receipt: bent },
      });
      expect(closesOf(effects)[0]).toContain(`the receipt's ${field} is wrong`);
      expect(offersOf(effects)).toEqual(["w .2"]);
    },
  );

  test.each([
    ["none", []],
    ["one twice", [0, 0]],
    ["one of a choice that was not asked for", [0, 7]],
    ["one too many", [0, 1, 2]],
  ])("with endings other than one a choice (%s) is a breach", (_, indexes) => {
    const finishes = indexes.map((index) => ({ index, reason: "stop" as const }));
    const effects = running({ choices: 2 }).end("v", attempt, 0, { finishes });
    expect(closesOf(effects)[0]).toMatch(/^v malformed/);
    expect(endingsOf(effects)).toEqual([]);
  });

  test("of every choice, in any order, is an answer", () => {
    const finishes = [1, 0].map((index) => ({ index, reason: "stop" as const }));
    expect(howEnded(running({ choices: 2 }).end("v", attempt, 0, { finishes }))).toBe("answered");
  });
});

describe("a consumer that hangs up", () => {
  const gone = { kind: "consumer.gone", taskId: task("a").id } as const;

  test("while the task waits ends it, unpaid", () => {
    const scene = new HubScene();
    scene.join("v", { slots: 0 });
    scene.submit(task("a"));
    expect(howEnded(scene.step(gone))).toBe("client_closed");
    expect(scene.state.waiting).toEqual([]);
  });

  test("has the engine stopped, once", () => {
    const scene = running();
    const cancels = framesOf(scene.step(gone), "task.cancel");
    expect(cancels).toEqual([{ type: "task.cancel", attempt, reason: "consumer_gone" }]);
    expect(scene.step(gone)).toEqual([]);
  });

  test("pays for what had been made when the worker heard of it", () => {
    const scene = running();
    scene.delta("v", attempt, 0, "abc");
    scene.step(gone);
    scene.delta("v", attempt, 1, "de");
    const usage = { prompt: 5, completion: 2, cached: 0 };
    const [ending] = endingsOf(scene.end("v", attempt, 2, { outcome: "cancelled", usage }));
    expect(ending).toMatchObject({ kind: "cancelled", counts: { completionTokens: 2 } });
    expect(ending).toMatchObject({ receipt: { receipt: { outcome: "cancelled" } } });
  });

  test("does not pay for what comes after it left", () => {
    const scene = running();
    scene.delta("v", attempt, 0, "ab");
    scene.step(gone);
    scene.delta("v", attempt, 1, "x".repeat(40));
    const usage = { prompt: 5, completion: 40, cached: 0 };
    const [ending] = endingsOf(scene.end("v", attempt, 2, { outcome: "cancelled", usage }));
    expect(ending).toMatchObject({ kind: "cancelled", counts: { completionTokens: 2 } });
  });

  test("pays nobody for a flood after it left: the window still holds", () => {
    const scene = running({}, { windowBytes: 10 });
    scene.delta("v", attempt, 0, "123");
    scene.step(gone);
    const effects = scene.delta("v", attempt, 1, "x".repeat(8));
    expect(closesOf(effects)).toHaveLength(1);
    const [ending] = endingsOf(effects);
    expect(ending).toMatchObject({ kind: "cancelled", counts: { completionTokens: 1 } });
  });

  test("is not billed more tokens than were agreed where the worker never answers", () => {
    const scene = running({ completionTokensMax: 2 }, { cancelMs: 100 });
    const parts = [{ index: 0, tokens: 50, text: "x".repeat(50) }];
    scene.send("v", { type: "task.delta", attempt, seq: 0, parts });
    scene.step(gone);
    const [ending] = endingsOf(scene.tick(100));
    const counts = { promptTokens: 0, completionTokens: 2 };
    expect(ending).toMatchObject({ kind: "cancelled", counts, receipt: null });
  });

  test("twice, or after the end, changes nothing", () => {
    const scene = running();
    scene.end("v", attempt, 0);
    expect(scene.step(gone)).toEqual([]);
  });
});
