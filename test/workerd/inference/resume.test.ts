import { describe, expect, test } from "vitest";
import { call } from "../routes/edge-client.ts";
import type { ChatOptions, Consumer } from "../world.ts";
import { chat, newFunded, newModel, serve, storedTask, untilListed } from "../world.ts";
import { until } from "../../helpers/until.ts";

const done = "data: [DONE]\n\n";

/** Reads a stream until it has come to `until`, and leaves. */
async function readUntil(response: Response, last: string, leaving: AbortController) {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes(last)) {
    const { done: isOver, value } = (await reader?.read()) ?? { done: true, value: "" };
    if (isOver) throw new Error(`the stream ended at ${text}`);
    text += value;
  }
  leaving.abort();
  await reader?.cancel().catch(() => "it was aborted");
  return text;
}

/** Whole events alone, as a client takes them in. */
function wholeEvents(text: string): string {
  return text.slice(0, text.lastIndexOf("\n\n") + 2);
}

function lastIdIn(text: string): string {
  return [...text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? "";
}

function contentOf(text: string): string {
  return [...text.matchAll(/"content":"([^"]*)"/g)].map(([, content]) => content).join("");
}

function resume(consumer: Consumer, taskId: string, lastEventId: string) {
  return call(`GET /v1/tasks/${taskId}/stream`, {
    key: consumer.key,
    headers: { "last-event-id": lastEventId },
  });
}

/** An answer whose consumer left after its first word, of a worker that the test drives. */
async function left(options: ChatOptions["body"] = {}) {
  const model = newModel();
  const consumer = await newFunded();
  const worker = await serve(model);
  await untilListed(model);
  const leaving = new AbortController();
  const { signal } = leaving;
  const asking = chat(consumer, model, { stream: true, body: options, signal });
  const attempt = await worker.attempt();
  attempt.accept();
  attempt.delta("one ");
  const response = await asking;
  const taskId = response.headers.get("x-octo-task") ?? "";
  const firstId = response.headers.get("x-octo-event-id") ?? "";
  const seen = wholeEvents(await readUntil(response, "one ", leaving));
  return { consumer, worker, attempt, taskId, firstId, seen };
}

describe("an answer whose consumer means to come back", () => {
  test("is made to the end, and the rest of it is read exactly once", async () => {
    const { consumer, attempt, taskId, seen } = await left({ octo: { resume: true } });
    attempt.delta("two ");
    const { headers, text } = await (async () => {
      const reading = resume(consumer, taskId, lastIdIn(seen));
      await until("the rest is asked for", () => true);
      attempt.delta("three");
      await attempt.end();
      return reading;
    })();
    expect(headers.get("content-type")).toContain("text/event-stream");
    expect(contentOf(seen + text)).toBe("one two three");
    expect(text.endsWith(done)).toBe(true);
    const stored = await storedTask(consumer, taskId);
    expect(stored.task).toMatchObject({ state: "settled", finish: "stop", completionTokens: 3 });
  });

  test("can be read again for a while once it is over, from the start or from any event", async () => {
    const { consumer, attempt, taskId, firstId, seen } = await left({ octo: { resume: true } });
    attempt.delta("two");
    await attempt.end();
    await storedTask(consumer, taskId);
    expect(contentOf((await resume(consumer, taskId, firstId)).text)).toBe("one two");
    expect(contentOf((await resume(consumer, taskId, lastIdIn(seen))).text)).toBe("two");
  });
});

describe("an answer whose consumer hung up", () => {
  test("is stopped, and what was made can be read, with an error at its end", async () => {
    const { consumer, worker, attempt, taskId, firstId } = await left();
    // Only a write finds out that nobody reads.
    attempt.delta("two ");
    const cancel = await worker.first("task.cancel");
    expect(cancel).toMatchObject({ attempt: attempt.offer.attempt, reason: "consumer_gone" });
    const { text } = await resume(consumer, taskId, firstId);
    expect(contentOf(text)).toMatch(/^one (two )?$/);
    expect(text).toContain('"finish_reason":"error"');
    expect(text).not.toContain("[DONE]");
  });
});

describe("what is no stream of the caller's", () => {
  test("is not found: another account's, an unknown task's, a hub's that is not there", async () => {
    const { consumer, attempt, taskId, firstId } = await left({ octo: { resume: true } });
    await attempt.end();
    await storedTask(consumer, taskId);
    const stranger = await newFunded();
    const unknown = taskId.replace(/.$/, (last) => (last === "0" ? "1" : "0"));
    for (const answer of [
      await resume(stranger, taskId, firstId),
      await resume(consumer, unknown, firstId),
      await resume(consumer, taskId, "weur:99:0"),
      await resume(consumer, taskId, "weur:0:4000"),
    ]) {
      expect([answer.status, answer.json]).toMatchObject([404, { error: { code: "not_found" } }]);
    }
  });

  test("is refused where nobody says which event came last", async () => {
    const { consumer, attempt, taskId } = await left({ octo: { resume: true } });
    await attempt.end();
    for (const id of ["", "17", "nowhere:1:2"]) {
      const answer = await resume(consumer, taskId, id);
      expect([answer.status, answer.json]).toMatchObject([
        400,
        { error: { code: "invalid_request" } },
      ]);
    }
  });
});
