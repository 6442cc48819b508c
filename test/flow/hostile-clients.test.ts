import { once } from "node:events";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { networkProcesses, residentBytes, workerdPid } from "../helpers/flow-processes.ts";
import { RawClient } from "../helpers/flow-raw-client.ts";
import { OpenStream, steady } from "../helpers/flow-stream.ts";
import { Flow, script, scripted } from "../helpers/flow-world.ts";
import { until } from "../helpers/until.ts";

let flow: Flow;

beforeAll(async () => {
  const flags = ["--context", "2000000"];
  const vars = { OCTO_STALL_MS: "2000" };
  flow = await Flow.start({ models: [`synthetic:${scripted}`], flags, vars });
});
afterAll(async () => flow?.[Symbol.asyncDispose]());

/** Whatever was done to it, the edge answers the next one. */
afterEach(async () => {
  const response = await flow.ask('text="as ever"');
  expect([response.status, await response.text()]).toEqual([200, expect.stringMatching(/as ever/)]);
  await flow.untilNothingHeld();
});

function bodyOf(words: string, more: Record<string, unknown> = {}): string {
  const messages = [{ role: "user", content: script(words) }];
  return JSON.stringify({ model: scripted, messages, ...more });
}

describe("a client that leaves", () => {
  test.each(["reset", "leave"] as const)(
    "in mid-stream (%s) stops the engine, and pays what was delivered",
    async (how) => {
      using client = await RawClient.dial(flow.url);
      client.ask(flow, bodyOf(steady, { stream: true }));
      await client.untilReceived("word3");
      client[how]();
      expect(await flow.untilWorkerEnds(client.taskId)).toBe("Task cancelled");
      const task = await flow.untilTask(client.taskId);
      expect(task).toMatchObject({ state: "settled", finish: "cancelled" });
      expect(task.completion_tokens).toBeGreaterThanOrEqual(3);
      expect(task.cost_micros).toBeGreaterThan(0);
      expect(task.receipts).toHaveLength(1);
    },
  );

  test("before its first token costs nothing and frees the worker", async () => {
    const before = await flow.money();
    using client = await RawClient.dial(flow.url);
    client.ask(flow, bodyOf("delay=600000"));
    await until("it is held for", async () => (await flow.money()).held_micros > 0);
    client.reset();
    await flow.untilNothingHeld();
    await flow.untilFreeSlots(4);
    expect(await flow.money()).toEqual(before);
  });

  test("in the middle of its request does no harm", async () => {
    using client = await RawClient.dial(flow.url);
    const body = bodyOf(steady);
    client.ask(flow, body, -20);
    client.leave();
    using other = await RawClient.dial(flow.url);
    other.ask(flow, body, 40);
    other.reset();
  });
});

describe("a body", () => {
  test("over 4 MiB is refused with 413, and the client that still sends it is told so", async () => {
    const text = " ".repeat(8 * 1024 * 1024);
    // Several times: a refusal that comes too early is lost on some clients only.
    for (let time = 0; time < 5; time++) {
      // A stream goes without its length: then it is found out while reading.
      for (const body of [text, new Blob([text]).stream()]) {
        const init = { method: "POST", body, duplex: "half" };
        const response = await flow.fetch("/v1/chat/completions", init as RequestInit);
        expect(response.status).toBe(413);
        expect(await response.json()).toMatchObject({ error: { code: "body_too_large" } });
      }
    }
  });

  test("that comes with a wrong key is refused for the key, however large", async () => {
    const headers = { authorization: "Bearer octo_sk_wrong" };
    const body = " ".repeat(4 * 1024 * 1024);
    for (let time = 0; time < 5; time++) {
      const init = { method: "POST", body, headers };
      expect((await flow.fetch("/v1/chat/completions", init)).status).toBe(401);
    }
  });

  test("just under 4 MiB is served", async () => {
    const filler = { role: "system", content: "x".repeat(4 * 1024 * 1024 - 500) };
    const messages = [filler, { role: "user", content: script('text="big"') }];
    const body = JSON.stringify({ model: scripted, messages, max_tokens: 5 });
    const response = await flow.fetch("/v1/chat/completions", { method: "POST", body });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain("big");
  });

  test.each([
    ["", "line 1, column 1"],
    ["{", "line 1, column 2"],
    ['{\n  "model": "x",\n  oops\n}', "line 3, column 3"],
    ['{"model":"x"} tail', "line 1, column 15"],
  ])("that is not JSON (%j) is refused with the place", async (body, place) => {
    const response = await flow.fetch("/v1/chat/completions", { method: "POST", body });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { code: "invalid_json", message: expect.stringContaining(place) },
    });
  });

  test("of another shape is refused with the field", async () => {
    for (const [body, field] of [
      ["[]", "The body"],
      ["null", "The body"],
      ['{"model":"scripted"}', "messages"],
      ['{"model":"","messages":[]}', "model"],
    ]) {
      const init = { method: "POST", body: body ?? "" };
      const response = await flow.fetch("/v1/chat/completions", init);
      expect(response.status).toBe(400);
      const { error } = (await response.json()) as { error: { message: string } };
      expect(error.message.startsWith(`${field}:`), error.message).toBe(true);
    }
  });
});

describe("a client that does not read", () => {
  /** About 11 MB of text, more than the sockets' own buffers hold. */
  const endless = bodyOf("tokens=1000000 rate=0 burst=500", { stream: true });

  test("stops its worker at the window, keeps memory bounded, and pays for what it left", async () => {
    const worker = networkProcesses().find(({ command }) => command.includes("cli.ts"));
    const pids = [workerdPid(), worker?.pid ?? 0];
    const before = pids.map(residentBytes);
    using client = await RawClient.dial(flow.url, false);
    client.ask(flow, endless);
    await until("it is held for", async () => (await flow.money()).held_micros > 0);
    // As long as a worker's silence may last; then the slot is another's.
    await flow.untilNothingHeld();
    const grown = pids.map((pid, at) => residentBytes(pid) - (before[at] ?? 0));
    expect(Math.max(...grown)).toBeLessThan(256 * 1024 * 1024);
    await flow.untilFreeSlots(4);
    client.read();
    await client.untilReceived("Nothing of the answer was read for 2000 ms");
    expect(client.received).not.toContain("[DONE]");
    const task = await flow.untilTask(client.taskId);
    expect(task).toMatchObject({ state: "settled", finish: "cancelled" });
    expect(task.completion_tokens).toBeLessThan(1_000_000);
    expect(task.cost_micros).toBeGreaterThan(0);
    expect(task.receipts).toHaveLength(1);
  });

  test("in time gets all of it, at its own pace", async () => {
    using client = await RawClient.dial(flow.url, false);
    client.ask(flow, bodyOf("tokens=600000 rate=0 burst=500", { stream: true }));
    await until("it is held for", async () => (await flow.money()).held_micros > 0);
    client.read();
    await client.untilReceived("[DONE]");
    const task = await flow.untilTask(client.taskId);
    expect(task).toMatchObject({ finish: "stop", completion_tokens: 600_000 });
  });
});

describe("a stranger at the workers' door", () => {
  test.each([
    ["33 MiB", Buffer.alloc(33 * 1024 * 1024, 97)],
    ["300 KiB of text", "x".repeat(300 * 1024)],
    ["a frame of work", '{"type":"credit.grant","slots":4}'],
    ["what is no JSON", "hello?"],
    ["bytes", Buffer.from([0, 1, 2])],
  ])(
    "is turned away after %s, and an answer in flight on the same hub goes on",
    async (_, sent) => {
      const stream = await OpenStream.open(flow);
      const ws = new WebSocket(`${flow.url.replace("http", "ws")}/worker`);
      ws.on("error", () => undefined);
      await once(ws, "open");
      ws.send(sent);
      await until("the edge hangs up", () => ws.readyState !== WebSocket.OPEN);
      ws.terminate();
      const words = stream.content.split(" ").length;
      await stream.untilWord(words + 5);
      await stream.leave();
    },
  );
});
