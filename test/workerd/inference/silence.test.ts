import { afterEach, describe, expect, test, vi } from "vitest";
import {
  chat,
  type Consumer,
  newFunded,
  newModel,
  serve,
  storedTask,
  summaryOf,
  untilListed,
} from "../world.ts";
import { until } from "../../helpers/until.ts";

afterEach(() => {
  vi.useRealTimers();
});

/** The clock of the whole isolate, `ms` later. */
function later(ms: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + ms });
}

/** A streamed task that waits behind another, on the only slot there is. */
async function waiting() {
  const model = newModel();
  const [first, second]: readonly [Consumer, Consumer] = [await newFunded(), await newFunded()];
  const worker = await serve(model, { slots: 1 });
  await untilListed(model);
  const busy = chat(first, model);
  await worker.attempt();
  const asking = chat(second, model, { stream: true, body: { octo: { mode: "async" } } });
  await until("it is held for", async () => (await summaryOf(second)).held > 0n);
  return { worker, busy, asking, consumer: second };
}

describe("a streamed answer of which nothing has come for ten seconds", () => {
  test("begins with a comment, so that its connection is kept and a consumer's leaving noticed", async () => {
    const { worker, busy, asking, consumer } = await waiting();
    later(10_001);
    const response = await asking;
    expect(response.status).toBe(200);
    expect(response.headers.get("x-octo-worker")).toBe(null);
    // The one before it was late.
    expect((await busy).status).toBe(502);
    vi.useRealTimers();
    worker.grant(1);
    const attempt = await worker.attempt(1);
    await attempt.answer("here", " now");
    const text = await response.text();
    expect(text.startsWith(": keep-alive\n\nid: weur:0:1\ndata: ")).toBe(true);
    expect(text).toContain(`"system_fingerprint":"fp_${attempt.offer.digest.slice(0, 12)}"`);
    expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
    const task = await storedTask(consumer, response.headers.get("x-octo-task") ?? "");
    expect(task.task).toMatchObject({ state: "settled", completionTokens: 2 });
  });

  test("ends with an error where nobody is free in the end, and what was held returns", async () => {
    const { busy, asking, consumer } = await waiting();
    later(10_001);
    const response = await asking;
    later(60_000);
    const text = await response.text();
    expect(text).toContain('"code":"no_capacity"');
    expect(text).not.toContain("[DONE]");
    await busy;
    const summary = await until("what was held returns", async () => {
      const now = await summaryOf(consumer);
      return now.held === 0n && now;
    });
    expect(summary.balance).toBe(10_000_000n);
  });
});
