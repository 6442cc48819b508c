import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { generateSigningKey } from "../../../shared/crypto/signing.ts";
import { closeCodes } from "../../../shared/protocol/close-codes.ts";
import { until } from "../../helpers/until.ts";
import { call } from "../routes/edge-client.ts";
import { readStream } from "../sse.ts";
import {
  answering,
  chat,
  crashHub,
  dial,
  hub,
  hubId,
  ledgerSum,
  newFunded,
  newModel,
  serve,
  storedTask,
  untilListed,
  untilSettled,
} from "../world.ts";

/** As after ten idle seconds: memory is gone, sockets stay. */
const hibernate = () => evictDurableObject(hub(), { webSockets: "hibernate" });

describe("a hub that slept", () => {
  test("knows its name, its workers, their listings and slots", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const worker = await serve(model, { script: answering("good ", "morning") });
    await untilListed(model);
    await hibernate();
    expect(await runInDurableObject(hub(), (_, { id }) => id.name)).toBe(hubId);
    const response = await chat(consumer, model);
    expect(response.headers.get("x-octo-worker")).toBe(worker.id);
    expect(await response.json()).toMatchObject({
      choices: [{ message: { content: "good morning" } }],
    });
    expect(worker.closed).toBeNull();
    await untilSettled(consumer);
  });

  test("goes on with a worker's next frames", async () => {
    const worker = await serve(newModel());
    await hibernate();
    worker.publish();
    await until("the hub answers", () => worker.all("listing.result").length === 2);
    expect(worker.all("listing.result")[1]).toMatchObject({ revision: 2 });
  });

  test("still challenges whom it had challenged", async () => {
    const worker = await dial();
    await worker.first("auth.challenge");
    await hibernate();
    await worker.prove();
    expect(worker.closed).toBeNull();
  });

  test("sends a worker back that had said nothing yet of what it offers", async () => {
    const worker = await dial();
    await worker.prove();
    await hibernate();
    worker.publish();
    expect(await worker.ending()).toMatchObject({ code: closeCodes.restart });
  });

  test("still lets the newest connection of an identity win", async () => {
    const { key } = await generateSigningKey();
    const older = await serve(newModel(), { key });
    await hibernate();
    const newer = await serve(newModel(), { key });
    expect(await older.ending()).toMatchObject({ code: closeCodes.replaced });
    expect(newer.closed).toBeNull();
  });

  test("still offers nothing to a worker that drains", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const worker = await serve(model);
    await untilListed(model);
    worker.send({ type: "worker.drain" });
    worker.publish();
    await until("the hub has read it", () => worker.all("listing.result").length === 2);
    await hibernate();
    expect((await chat(consumer, model)).status).toBeGreaterThanOrEqual(404);
    expect(worker.attempts).toEqual([]);
  });

  test("is woken by its alarm under its own name", async () => {
    const model = newModel();
    await serve(model);
    await hibernate();
    expect(await runDurableObjectAlarm(hub())).toBe(true);
    await untilListed(model);
  });
});

describe("a hub that died", () => {
  test("in the middle of an answer: the stream ends in an error, and nobody pays", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const worker = await serve(model, { script: (attempt) => attempt.delta("half an ") });
    await untilListed(model);
    const response = await chat(consumer, model, { stream: true });
    const reading = readStream(response);
    await worker.attempt();
    await crashHub();
    const { error, reasons, isDone } = await reading;
    expect({ code: error?.code, reasons, isDone }).toEqual({
      code: "unavailable",
      reasons: ["error"],
      isDone: false,
    });
    await until("the worker's socket is gone", () => worker.closed);
    const { task } = await storedTask(consumer, response.headers.get("x-octo-task") ?? "");
    expect(task).toMatchObject({ state: "void", errorCode: "unavailable", costMicros: 0n });
    const summary = await untilSettled(consumer);
    expect(summary.balance).toBe(10_000_000n);
    expect(await ledgerSum()).toBe(0n);
  });

  test("before the first token: the task is run again once its worker is back", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const { key } = await generateSigningKey();
    const silent = await serve(model, { key });
    await untilListed(model);
    const answered = chat(consumer, model, { stream: true });
    await silent.attempt();
    await crashHub();
    await serve(model, { key, script: answering("back again") });
    const response = await answered;
    expect(await readStream(response)).toMatchObject({ text: "back again", isDone: true });
    const { task } = await storedTask(consumer, response.headers.get("x-octo-task") ?? "");
    expect(task.state).toBe("settled");
    await untilSettled(consumer);
  });

  test("before the first token, and its worker stays away: the consumer may come again", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const silent = await serve(model);
    await untilListed(model);
    const answered = chat(consumer, model);
    await silent.attempt();
    await crashHub();
    const response = await answered;
    expect(response.status).toBe(429);
    expect(response.headers.get("retry-after")).not.toBeNull();
    expect((await untilSettled(consumer)).balance).toBe(10_000_000n);
  });

  test("has its workers back as soon as they dial in again", async () => {
    const model = newModel();
    const consumer = await newFunded();
    const { key } = await generateSigningKey();
    const before = await serve(model, { key });
    await untilListed(model);
    await crashHub();
    await until("the worker's socket is gone", () => before.closed);
    const after = await serve(model, { key, script: answering("back") });
    await untilListed(model);
    const response = await chat(consumer, model);
    expect(response.headers.get("x-octo-worker")).toBe(after.id);
    await untilSettled(consumer);
  });

  test("tells the registry who has left, once it is awake again", async () => {
    const model = newModel();
    const worker = await serve(model);
    const online = async () => {
      const { json } = await call(`GET /api/v1/listings?model=${model}`);
      return (json["data"] as unknown[]).length;
    };
    await until("the listing is in the registry", async () => (await online()) === 1);
    await crashHub();
    await until("the worker's socket is gone", () => worker.closed);
    // Whoever comes next wakes the hub.
    await serve(newModel());
    await until("the listing is offline", async () => (await online()) === 0);
  });
});
