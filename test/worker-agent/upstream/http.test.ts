import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ask, readText, TransportError } from "../../../worker-agent/upstream/http.ts";
import { RecordedServer } from "./recorded-server.ts";

const limits = { firstByteMs: 5_000, stallMs: 60_000 };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Lets what is under way on sockets happen, without any time passing. */
async function untilTrue(condition: () => boolean): Promise<void> {
  for (let turns = 0; turns < 100_000; turns++) {
    if (condition()) return;
    await setImmediate();
  }
  throw new Error("it never happened");
}

function ignore(): void {}

describe("asking a server", () => {
  test("that does not begin to answer is given up", async () => {
    await using server = await RecordedServer.start({ "/x": { hang: true } });
    const { signal } = new AbortController();
    const asking = ask({ url: server.url, key: null }, "/x", { ...limits, signal });
    asking.catch(ignore);
    await untilTrue(() => server.asked.length === 1);
    vi.advanceTimersByTime(limits.firstByteMs);
    await expect(asking).rejects.toMatchObject({ kind: "late" });
    await untilTrue(() => server.openConnections === 0);
  });

  test("that says nothing more in the middle is given up", async () => {
    const pieces = [Buffer.from("one")];
    await using server = await RecordedServer.start({ "/x": { pieces, after: "hang" } });
    const { signal } = new AbortController();
    const answer = await ask({ url: server.url, key: null }, "/x", { ...limits, signal });
    const read: string[] = [];
    const reading = (async () => {
      for await (const piece of answer.pieces) read.push(piece.toString());
    })();
    reading.catch(ignore);
    await untilTrue(() => read.length === 1);
    vi.advanceTimersByTime(limits.stallMs - 1);
    await setImmediate();
    vi.advanceTimersByTime(1);
    await expect(reading).rejects.toMatchObject({ kind: "stalled" });
    await untilTrue(() => server.openConnections === 0);
  });

  test("by a reader who pauses for long is not the server's silence", async () => {
    const pieces = [Buffer.from("one"), Buffer.from("two")];
    await using server = await RecordedServer.start({ "/x": { pieces } });
    const { signal } = new AbortController();
    const answer = await ask({ url: server.url, key: null }, "/x", { ...limits, signal });
    const read: string[] = [];
    for await (const piece of answer.pieces) {
      read.push(piece.toString());
      vi.advanceTimersByTime(10 * limits.stallMs);
    }
    expect(read.join("")).toBe("onetwo");
  });

  test("that is let end by itself ends, and one that does not is closed", async () => {
    const pieces = [Buffer.from("all")];
    await using server = await RecordedServer.start({ "/x": { pieces, after: "hang" } });
    const { signal } = new AbortController();
    const answer = await ask({ url: server.url, key: null }, "/x", { ...limits, signal });
    for await (const piece of answer.pieces) {
      expect(piece.toString()).toBe("all");
      answer.letEnd();
      break;
    }
    expect(server.openConnections).toBe(1);
    vi.advanceTimersByTime(2_000);
    await untilTrue(() => server.openConnections === 0);
  });

  test("for a document stops at the most it may have", async () => {
    await using server = await RecordedServer.start({ "/x": { text: "x".repeat(100) } });
    const { signal } = new AbortController();
    const answer = await ask({ url: server.url, key: null }, "/x", { ...limits, signal });
    await expect(readText(answer, 99)).rejects.toThrow(TransportError);
  });
});
