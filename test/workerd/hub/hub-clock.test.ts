import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { closeCodes } from "../../../shared/protocol/close-codes.ts";
import { dial, hub, newModel, serve, untilListed } from "../world.ts";

afterEach(() => {
  vi.useRealTimers();
});

/** The clock of the whole isolate, `ms` later. */
function later(ms: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + ms });
}

describe("the hub closes, when its alarm goes off,", () => {
  test("no proof within five seconds", async () => {
    const worker = await dial();
    await worker.first("auth.challenge");
    later(5_001);
    await runDurableObjectAlarm(hub());
    expect(await worker.ending()).toEqual({
      code: closeCodes.unproven,
      reason: "no proof within 5000 ms",
    });
  });

  test("the hub looks for strangers soon, however late its next sweep is", async () => {
    await serve(newModel());
    await runDurableObjectAlarm(hub());
    const startMs = Date.now();
    await dial();
    const alarmMs = await runInDurableObject(hub(), (_, { storage }) => storage.getAlarm());
    expect(alarmMs).toBeLessThan(startMs + 8_000);
  });

  test("silence for three heartbeats", async () => {
    const model = newModel();
    const worker = await serve(model);
    await untilListed(model);
    later(30_001);
    await runDurableObjectAlarm(hub());
    expect(await worker.ending()).toEqual({
      code: closeCodes.silent,
      reason: "silent for 30000 ms; send ping every 10000 ms",
    });
  });
});
