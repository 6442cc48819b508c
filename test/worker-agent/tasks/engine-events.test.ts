import { describe, expect, test } from "vitest";
import type { TaskResult } from "../../../shared/openai/results.ts";
import { answerBytesMax } from "../../../shared/protocol/limits.ts";
import { type Engine, EngineError, type EngineEvent } from "../../../worker-agent/engine/engine.ts";
import { createSyntheticEngine } from "../../../worker-agent/engine/synthetic/synthetic.ts";
import { engineEvents } from "../../../worker-agent/tasks/engine-events.ts";

const signal = new AbortController().signal;
const task = { kind: "embedding", request: { model: "m", input: "a" } } as const;

/** An engine whose documents are these. */
function answering(result: TaskResult): Engine {
  const engine = createSyntheticEngine({ documents: true });
  const usage = { prompt: 2, completion: 3, cached: 0 };
  return { ...engine, perform: () => Promise.resolve({ result, usage }) };
}

async function eventsOf(engine: Engine, of: AbortSignal = signal): Promise<EngineEvent[]> {
  const events: EngineEvent[] = [];
  for await (const event of engineEvents(engine, task, of)) events.push(event);
  return events;
}

describe("a document", () => {
  test("comes in parts that join to it, with its tokens on the first", async () => {
    const result = { vectors: Array.from({ length: 3_000 }, () => "AACAPwAAAMA=") };
    const events = await eventsOf(answering(result));
    const parts = events.flatMap((event) => (event.kind === "part" ? [event.part] : []));
    expect(parts.length).toBeGreaterThan(1);
    expect(JSON.parse(parts.map(({ text }) => text).join(""))).toEqual(result);
    expect(parts.map(({ tokens }) => tokens)).toEqual([3, ...parts.slice(1).map(() => 0)]);
    expect(events.at(-1)).toEqual({
      kind: "end",
      finishes: [{ index: 0, reason: "stop" }],
      usage: { prompt: 2, completion: 3, cached: 0 },
    });
  });

  test("larger than a hub takes is refused here, before a byte of it has left", async () => {
    const result = { vectors: ["A".repeat(answerBytesMax)] };
    const failure: unknown = await eventsOf(answering(result)).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(EngineError);
    expect(failure).toMatchObject({ code: "invalid_request" });
    expect(String(failure)).toMatch(/has \d+ bytes and may have 12582912: ask for less$/);
  });

  test("that is aborted is nothing at all", async () => {
    const controller = new AbortController();
    const engine = createSyntheticEngine({ documents: true, firstTokenDelayMs: 60_000 });
    const events = eventsOf(engine, controller.signal);
    controller.abort();
    expect(await events).toEqual([
      { kind: "end", finishes: [], usage: { prompt: 0, completion: 0, cached: 0 } },
    ]);
  });
});
