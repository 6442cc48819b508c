import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { done, eventsOf } from "../helpers/flow-contract.ts";
import { Flow } from "../helpers/flow-world.ts";
import { until } from "../helpers/until.ts";

/** Two real engines with the same weights. */
let flow: Flow;

beforeAll(async () => {
  flow = await Flow.start({ models: ["octo-tiny"], workers: 2 });
});
afterAll(async () => flow?.[Symbol.asyncDispose]());

interface Heard {
  readonly text: string;
  readonly content: string;
  readonly taskId: string;
  readonly finish: string | null;
  readonly tokens: number;
}

/** Streams one story; after `killAfter` pieces its worker is killed. */
async function story(more: Record<string, unknown>, killAfter: number | null): Promise<Heard> {
  const messages = [{ role: "user", content: "Tell me a story about a fox" }];
  const body = { model: "octo-tiny", messages, max_tokens: 160, stream: true, ...more };
  const response = await flow.fetch("/v1/chat/completions", {
    method: "POST",
    body: JSON.stringify({ ...body, stream_options: { include_usage: true } }),
  });
  expect(response.status).toBe(200);
  const decoder = new TextDecoder();
  let text = "";
  let pieces = 0;
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    pieces += 1;
    if (pieces === killAfter) kill(response.headers.get("x-octo-worker"));
  }
  const events = eventsOf(text);
  const choices = events.flatMap((event) => event.choices);
  return {
    text,
    content: choices.map(({ delta }) => delta?.content ?? "").join(""),
    taskId: response.headers.get("x-octo-task") ?? "",
    finish: choices.findLast(({ finish_reason: reason }) => reason !== null)?.finish_reason ?? null,
    tokens: Number(/"completion_tokens":(\d+)/.exec(text)?.[1]),
  };
}

function kill(id: string | null): void {
  const { pid } = flow.worker(id);
  if (pid === null) throw new Error(`${id} is not running`);
  process.kill(pid, "SIGKILL");
}

describe("a real engine that dies in mid-answer", () => {
  test.each([
    ["at temperature 0", { temperature: 0 }],
    ["with a seed", { temperature: 1, seed: 7 }],
  ])("%s is followed by another that says exactly what it would have said", async (_, sampling) => {
    const whole = await story(sampling, null);
    expect(whole.text.endsWith(done)).toBe(true);
    let continued = 0;
    for (const killAfter of [1, 2, 4]) {
      await until("both workers are there", async () => {
        const [model] = await flow.models();
        return model?.octo.workers === 2;
      });
      const broken = await story(sampling, killAfter);
      expect(broken.text.endsWith(done)).toBe(true);
      expect(broken.content).toBe(whole.content);
      expect([broken.finish, broken.tokens]).toEqual([whole.finish, whole.tokens]);
      const task = await flow.untilTask(broken.taskId);
      expect(task).toMatchObject({ state: "settled", completion_tokens: whole.tokens });
      continued += task.attempts_made > 1 ? 1 : 0;
    }
    // A fast machine may have said everything before the signal came.
    expect(continued).toBeGreaterThan(0);
  });
});
