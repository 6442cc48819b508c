import { beforeAll, describe, expect, test } from "vitest";
import type { FakeWorker } from "../../helpers/fake-worker.ts";
import { until } from "../../helpers/until.ts";
import { answered, dearAndCheap } from "./routed.ts";
import { call, newConsumer, refusal } from "../routes/edge-client.ts";
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

let model: string;
let dear: FakeWorker;
let cheap: FakeWorker;
let consumer: Consumer;

beforeAll(async () => {
  ({ model, dear, cheap } = await dearAndCheap());
  consumer = await newFunded();
});

describe("a route", () => {
  test("of one's own task is explained, and of nobody else's", async () => {
    const { taskId } = await answered(consumer, `${model}:cost`);
    await storedTask(consumer, taskId);
    const { status, json } = await call(`GET /api/v1/tasks/${taskId}/route`, { key: consumer.key });
    expect(status).toBe(200);
    expect(json).toMatchObject({
      object: "task.route",
      task_id: taskId,
      strategy: "cost",
      weights: { price: 0.8, load: 0.1, success: 0.1 },
      sort: null,
      reputation_version: 1,
      worker_id: cheap.id,
      explored: false,
      input_micros_per_million: 10_000,
    });
    const candidates = json["candidates"] as { worker_id: string; score: number; parts: object }[];
    expect(candidates.map((one) => one.worker_id)).toEqual([cheap.id, dear.id]);
    expect(candidates[0]?.parts).toMatchObject({ price: 1 });
    expect(candidates[0]?.score).toBeGreaterThan(candidates[1]?.score ?? 1);
    const task = await call(`GET /api/v1/tasks/${taskId}`, { key: consumer.key });
    expect(task.json).toMatchObject({ strategy: "cost", route: { worker_id: cheap.id } });
    const other = await newConsumer();
    const foreign = await refusal(`GET /api/v1/tasks/${taskId}/route`, { key: other.key });
    expect([foreign.status, foreign.code]).toEqual([404, "not_found"]);
  });

  test("says who was left out and why", async () => {
    const body = { octo: { exclude: [cheap.id] } };
    const { taskId } = await answered(consumer, model, { body });
    await storedTask(consumer, taskId);
    const { json } = await call(`GET /api/v1/tasks/${taskId}/route`, { key: consumer.key });
    expect(json).toMatchObject({ excluded: { exclude: 1 } });
    expect(json["excluded_examples"]).toContainEqual({ worker_id: cheap.id, reason: "exclude" });
  });

  test("of a task that no worker got is not there", async () => {
    const body = { octo: { exclude: [cheap.id, dear.id] } };
    await (await chat(consumer, model, { body })).text();
    const taskId = await until("the task is in the list", async () => {
      const { json } = await call("GET /api/v1/tasks", { key: consumer.key });
      const tasks = json["data"] as { id: string; error_code: string | null }[];
      return tasks.find((task) => task.error_code === "no_capacity")?.id;
    });
    const missing = await refusal(`GET /api/v1/tasks/${taskId}/route`, { key: consumer.key });
    expect(missing.status).toBe(404);
  });
});

describe("a dry run", () => {
  const messages = [{ role: "user", content: "hi" }];

  test("tells who would be asked and what it would cost at most, and holds nothing", async () => {
    const own = await newFunded(1);
    const body = { model: `${model}:cost`, messages, max_completion_tokens: 1_000 };
    const { status, json } = await call("POST /api/v1/route", { key: own.key, body });
    expect(status).toBe(200);
    expect(json).toMatchObject({
      object: "route",
      kind: "chat",
      model,
      strategy: "cost",
      class: "public",
      completion_tokens_max: 1_000,
      hubs: [
        {
          hub_id: "weur:0",
          outcome: "chosen",
          route: { worker_id: cheap.id, explored: false },
        },
      ],
    });
    // 1,000 completion tokens at 4 credits a million, and the prompt.
    expect(json["cost_micros_max"]).toBeGreaterThan(4_000);
    expect((await summaryOf(own)).held).toBe(0n);
    const offered = cheap.attempts.length;
    await call("POST /api/v1/route", { key: own.key, body });
    expect(cheap.attempts.length).toBe(offered);
  });

  test("reads headers and the bodies of every kind, and refuses what they would", async () => {
    const headers = { "x-octo-strategy": "quality", "x-octo-max-price": "0.5" };
    const routed = await call("POST /api/v1/route", {
      key: consumer.key,
      headers,
      body: { kind: "chat", model, messages },
    });
    expect(routed.json).toMatchObject({
      strategy: "quality",
      input_micros_per_million_max: 10_000,
      hubs: [{ excluded: { price: 1 }, route: { worker_id: cheap.id } }],
    });
    const tryOut = (body: unknown) => refusal("POST /api/v1/route", { key: consumer.key, body });
    expect(await tryOut({ kind: "embedding", model })).toMatchObject({
      status: 400,
      param: "input",
    });
    expect(await tryOut({ kind: "embedding", model, input: "fox" })).toMatchObject({
      code: "model_not_found",
    });
    expect(await tryOut({ kind: "dance", model })).toMatchObject({ status: 400, param: "kind" });
    expect(await tryOut({ model, messages, octo: { sort: "luck" } })).toMatchObject({
      status: 400,
      param: "octo.sort",
    });
  });

  test("tells where nobody could be chosen just now", async () => {
    const full = newModel();
    const worker = await serve(full, { slots: 1 });
    await untilListed(full);
    const dry = async (octo: Record<string, unknown> = {}) => {
      const body = { model: full, messages, octo };
      const { json } = await call("POST /api/v1/route", { key: consumer.key, body });
      return (json["hubs"] as unknown[])[0];
    };
    expect(await dry({ exclude: [worker.id] })).toMatchObject({
      outcome: "nobody",
      excluded: { exclude: 1 },
      route: null,
    });
    const hangUp = new AbortController();
    const running = chat(consumer, full, { signal: hangUp.signal, stream: true });
    await until("its only slot is taken", () => worker.attempts.length === 1);
    expect(await dry()).toMatchObject({
      outcome: "busy",
      excluded: { no_credit: 1 },
      excluded_examples: expect.arrayContaining([{ worker_id: worker.id, reason: "no_credit" }]),
    });
    hangUp.abort();
    await running.catch(() => "as it should: the consumer hung up");
  });
});
