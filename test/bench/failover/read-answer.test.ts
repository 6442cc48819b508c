import { once } from "node:events";
import { createServer } from "node:http";
import { afterEach, describe, expect, test } from "vitest";
import { pauseAfter, readAnswer } from "../../../bench/failover/read-answer.ts";

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A server that answers with these pieces, and breaks the connection where it is told to. */
async function serve(pieces: readonly string[], breaks = false) {
  const server = createServer((_, outgoing) => {
    outgoing.writeHead(200, { "content-type": "text/event-stream", "x-octo-task": "tsk_1" });
    for (const piece of pieces) outgoing.write(piece);
    if (breaks) setImmediate(() => outgoing.destroy());
    else outgoing.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(() => server.close());
  const address = server.address();
  const port = typeof address === "object" ? address?.port : null;
  return { url: `http://127.0.0.1:${port}/`, headers: {}, body: "{}" };
}

function said(content: string, finish: string | null = null): string {
  const choices = [{ index: 0, delta: { content }, finish_reason: finish }];
  return `data: ${JSON.stringify({ choices })}\n\n`;
}

describe("the end of an answer", () => {
  test("is good only where the stream says that it is done", async () => {
    const whole = said("a b") + said(" c", "stop");
    const cutInTheMiddle = whole.slice(0, 20);
    const pieces = [": still there\n\n", cutInTheMiddle, whole.slice(20), "data: [DONE]\n\n"];
    const answer = await readAnswer(await serve(pieces));
    expect(answer).toMatchObject({ text: "a b c", ending: "done", finish: "stop" });
    expect(answer.taskId).toBe("tsk_1");
  });

  test("is an error where an event says so, whatever follows", async () => {
    const event = { error: { code: "worker_failed" }, choices: [] };
    const failure = `data: ${JSON.stringify(event)}\n\n`;
    const answer = await readAnswer(await serve([said("a"), failure, "data: [DONE]\n\n"]));
    expect(answer).toMatchObject({ text: "a", ending: "error" });
  });

  test.each([
    ["ends", false],
    ["breaks", true],
  ])("is a cut where the connection %s without a word", async (_, breaks) => {
    const answer = await readAnswer(await serve([said("a")], breaks));
    expect(answer.ending).toBe("cut");
  });
});

describe("the pause at a switch", () => {
  const answer = { text: "", ending: "done", finish: "stop", taskId: "" } as const;

  test("is the longest silence that ends after it", () => {
    const arrivalsMs = [0, 100, 110, 150, 160];
    expect(pauseAfter({ ...answer, arrivalsMs }, 105)).toBe(40);
  });

  test("is none where nothing had come before it", () => {
    expect(pauseAfter({ ...answer, arrivalsMs: [200, 210] }, 100)).toBeNull();
  });
});
