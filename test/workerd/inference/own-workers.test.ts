import { describe, expect, test } from "vitest";
import { accountObject } from "../../../edge/objects.ts";
import { TicketSeal } from "../../../edge/billing/ticket.ts";
import { configOf } from "../../../edge/env.ts";
import { newId } from "../../../shared/ids.ts";
import type { FakeWorker } from "../../helpers/fake-worker.ts";
import { until } from "../../helpers/until.ts";
import { call, env, newConsumer, refusal } from "../routes/edge-client.ts";
import { readStream } from "../sse.ts";
import {
  answering,
  chat,
  type ChatOptions,
  type Consumer,
  ledgerSum,
  newFunded,
  newModel,
  serve,
  storedTask,
  summaryOf,
  untilListed,
  untilSettled,
} from "../world.ts";

const dear = { input_micros_per_million: 2_000_000, output_micros_per_million: 4_000_000 };
const able = { ...dear, abilities: ["chat", "forced_prefix"] };

/** Waits until the registry, which is behind the hubs, knows of so many workers with the model. */
async function untilKnown(model: string, workers: number): Promise<void> {
  await untilListed(model, workers);
  await until(`the registry knows ${workers} workers with ${model}`, async () => {
    const { json } = await call(`GET /api/v1/listings?model=${model}`);
    return (json["data"] as unknown[]).length === workers;
  });
}

interface Scene {
  readonly model: string;
  readonly owner: Consumer;
  readonly own: FakeWorker;
  readonly stranger: FakeWorker;
}

/** An owner with a worker, and a stranger's cheap one beside it; the owner has no credit at all. */
async function scene(owner?: Consumer, tokens = ["of ", "my own"]): Promise<Scene> {
  const model = newModel();
  const by = owner ?? (await newConsumer());
  const options = { account: by.accountId, listing: able, script: answering(...tokens) };
  const own = await serve(model, options);
  const stranger = await serve(model, { script: answering("a stranger's") });
  await untilKnown(model, 2);
  return { model, owner: by, own, stranger };
}

async function refused(consumer: Consumer, model: string, options: ChatOptions = {}) {
  const response = await chat(consumer, model, options);
  const { error } = await response.json<{ error: { code: string; message: string } }>();
  return { status: response.status, ...error };
}

describe("an account without credit", () => {
  test.each([false, true])(
    "is answered by its own worker, for nothing (streamed: %s)",
    async (stream) => {
      const { model, owner, own, stranger } = await scene();
      const response = await chat(owner, model, { stream });
      expect(response.status).toBe(200);
      expect(response.headers.get("x-octo-worker")).toBe(own.id);
      const taskId = response.headers.get("x-octo-task") ?? "";
      if (stream) {
        expect(await readStream(response)).toMatchObject({ text: "of my own", isDone: true });
      } else {
        const { choices } = await response.json<{ choices: { message: { content: string } }[] }>();
        expect(choices[0]?.message.content).toBe("of my own");
      }
      expect(await untilSettled(owner)).toMatchObject({ balance: 0n, held: 0n });
      const { task } = await storedTask(owner, taskId);
      expect(task).toMatchObject({ costMicros: 0n, holdMicros: 0n, completionTokens: 2 });
      const { json: usage } = await call("GET /api/v1/usage?group_by=model", { key: owner.key });
      expect(usage).toMatchObject({ total: { tasks: 1, failed_tasks: 0, cost_micros: 0 } });
      const { json: route } = await call(`GET /api/v1/tasks/${taskId}/route`, { key: owner.key });
      expect(route).toMatchObject({ own_only: true, worker_id: own.id, excluded: { own: 1 } });
      expect(stranger.attempts).toHaveLength(0);
      expect(await ledgerSum()).toBe(0n);
    },
  );

  test("is so by a ticket that says it, and by a digest as by a name", async () => {
    const { owner, own } = await scene();
    const response = await chat(owner, `sha256:${own.listing.digest}`);
    expect(response.status).toBe(200);
    await response.text();
    const attempt = await own.attempt();
    const terms = await new TicketSeal(configOf(env).ticketSecret).open(attempt.offer.ticket);
    expect(terms).toMatchObject({ own: true, limit: "0" });
    expect(terms?.lease).toBeUndefined();
  });

  test("is as one with too little for others, which it keeps", async () => {
    const poor = await newFunded(5);
    const { model, own } = await scene(poor);
    expect((await chat(poor, model)).headers.get("x-octo-worker")).toBe(own.id);
    expect((await untilSettled(poor)).balance).toBe(5n);
  });

  test("may limit its price below what its worker asks of others", async () => {
    const { model, owner, own } = await scene();
    const response = await chat(owner, model, { body: { octo: { max_price: 1 } } });
    expect(response.headers.get("x-octo-worker")).toBe(own.id);
    await untilSettled(owner);
  });

  test("gets 402 for what others alone offer, and is told that its own were looked at", async () => {
    const { owner } = await scene();
    const model = newModel();
    const worker = await serve(model);
    await untilListed(model);
    const error = await refused(owner, model);
    expect(error).toMatchObject({ status: 402, code: "insufficient_quota" });
    expect(error.message).toMatch(/and 0 are available; add credit/);
    expect(error.message).toMatch(/Your own workers, .*: none of them offers test-/);
    expect(worker.attempts).toHaveLength(0);
  });

  test("gets 402 where its own worker cannot do what is asked, and a stranger's could", async () => {
    const { model, owner, own, stranger } = await scene();
    const sharper = await serve(model, { listing: { bits_per_weight: 16, abilities: ["chat"] } });
    await untilKnown(model, 3);
    const body = { octo: { min_quantization: "fp16" } };
    const error = await refused(owner, model, { body });
    expect([error.status, error.code]).toEqual([402, "insufficient_quota"]);
    for (const worker of [own, stranger, sharper]) expect(worker.attempts).toHaveLength(0);
    expect((await untilSettled(owner)).held).toBe(0n);
  });

  test("gets 402 where its own worker is leaving, or is excluded", async () => {
    const { model, owner, own, stranger } = await scene();
    own.send({ type: "worker.drain" });
    const error = await refused(owner, model);
    expect([error.status, error.code]).toEqual([402, "insufficient_quota"]);
    expect(error.message).toMatch(/Your own workers/);
    const excluded = await refused(owner, model, { body: { octo: { exclude: [own.id] } } });
    expect(excluded.status).toBe(402);
    expect([own.attempts.length, stranger.attempts.length]).toEqual([0, 0]);
  });

  test("gains nothing by another's workers, and learns nothing of them", async () => {
    const { model, own } = await scene();
    const other = await newConsumer();
    const error = await refused(other, model);
    expect(error).toMatchObject({ status: 402 });
    expect(error.message).not.toContain(own.id);
    // Nor by naming their account as the one to ask.
    const { owner } = await scene();
    const body = { octo: { include: [owner.accountId] } };
    expect((await refused(other, model, { body })).status).toBe(402);
    expect(own.attempts).toHaveLength(0);
  });

  test("is not answered twice under one idempotency key", async () => {
    const { model, owner, own } = await scene();
    const headers = { "idempotency-key": newId("req") };
    const first = await (await chat(owner, model, { headers })).text();
    const again = await until("the answer is kept", async () => {
      const response = await chat(owner, model, { headers });
      return response.status === 200 && response;
    });
    expect(await again.text()).toBe(first);
    expect(own.attempts).toHaveLength(1);
  });
});

describe("an own worker that is lost", () => {
  test("in mid-answer is followed by no stranger: an error, and nobody is billed or paid", async () => {
    const model = newModel();
    const owner = await newConsumer();
    const own = await serve(model, {
      account: owner.accountId,
      listing: able,
      script: (attempt) => {
        attempt.delta("half an ");
        attempt.fail("engine_failed", "the engine fell over");
      },
    });
    const listing = { abilities: ["chat", "forced_prefix"] };
    const stranger = await serve(model, { listing, script: answering("answer") });
    await untilKnown(model, 2);
    const response = await chat(owner, model, { stream: true });
    const taskId = response.headers.get("x-octo-task") ?? "";
    const { text, error, isDone } = await readStream(response);
    expect({ text, code: error?.code, isDone }).toEqual({
      text: "half an ",
      code: "worker_failed",
      isDone: false,
    });
    expect(await untilSettled(owner)).toMatchObject({ balance: 0n, held: 0n });
    const { task, attempts } = await storedTask(owner, taskId);
    expect(task).toMatchObject({ costMicros: 0n, errorCode: "worker_failed" });
    expect(attempts.map(({ workerId }) => workerId)).toEqual([own.id]);
    expect(stranger.attempts).toHaveLength(0);
    expect(await ledgerSum()).toBe(0n);
  });

  test("before its first token is followed by no stranger, and its failure is told", async () => {
    const model = newModel();
    const owner = await newConsumer();
    const script = (attempt: { fail(code: "engine_failed", message: string): void }) =>
      attempt.fail("engine_failed", "the engine fell over");
    await serve(model, { account: owner.accountId, listing: able, script });
    const stranger = await serve(model, { script: answering("a stranger's") });
    await untilKnown(model, 2);
    const error = await refused(owner, model);
    expect([error.status, error.code]).toEqual([502, "worker_failed"]);
    expect(stranger.attempts).toHaveLength(0);
    expect((await untilSettled(owner)).held).toBe(0n);
  });
});

describe("limits hold for what is free", () => {
  const object = ({ accountId }: Consumer) => accountObject(env, accountId);

  test("of requests and of length; no budget keeps who has no credit from what is free", async () => {
    const { model, owner } = await scene();
    const of = { scope: "account", id: owner.accountId } as const;
    await object(owner).setLimits(of, { requests_per_minute: 1, day_budget_micros: 0 });
    expect((await chat(owner, model)).status).toBe(200);
    expect((await refused(owner, model)).code).toBe("rate_limit_exceeded");
    await object(owner).setLimits(of, { max_tokens: 10 });
    expect((await refused(owner, model)).code).toBe("invalid_request");
    await untilSettled(owner);
  });

  test("of a budget that is used up, where there is credit that it keeps from being spent", async () => {
    const owner = await newFunded();
    const { model, own } = await scene(owner);
    const of = { scope: "account", id: owner.accountId } as const;
    await object(owner).setLimits(of, { day_budget_micros: 0 });
    const error = await refused(owner, model);
    expect([error.status, error.code]).toEqual([402, "insufficient_quota"]);
    expect(error.message).toMatch(/may spend 0 micros a day; .*T00:00:00\.000Z$/);
    expect(own.attempts).toHaveLength(0);
    // Asked for by name, they take nothing from it.
    const body = { octo: { include: [owner.accountId] } };
    expect((await chat(owner, model, { body })).headers.get("x-octo-worker")).toBe(own.id);
    await untilSettled(owner);
  });

  test("of tasks at a time, also where none takes any credit", async () => {
    const model = newModel();
    const owner = await newConsumer();
    const { accountId } = owner;
    const own = await serve(model, { account: accountId, listing: able });
    await untilKnown(model, 1);
    await object(owner).open({ accountId, status: "active", concurrencyMax: 1 });
    const running = chat(owner, model);
    const attempt = await own.attempt();
    const error = await refused(owner, model);
    expect([error.status, error.code]).toEqual([429, "rate_limit_exceeded"]);
    await attempt.answer("done");
    expect((await running).status).toBe(200);
    await untilSettled(owner);
  });
});

describe("an account with credit", () => {
  test("is planned as ever: the most is held, whoever answers", async () => {
    const owner = await newFunded();
    const { model, own, stranger } = await scene(owner);
    const response = await chat(owner, model, { body: { octo: { sort: "price" } } });
    expect(response.headers.get("x-octo-worker")).toBe(stranger.id);
    await untilSettled(owner);
    expect(own.attempts).toHaveLength(0);
    const taskId = response.headers.get("x-octo-task") ?? "";
    expect((await storedTask(owner, taskId)).task.holdMicros).toBeGreaterThan(0n);
  });

  test("that asks for its own workers alone holds nothing, and is leased nothing", async () => {
    const owner = await newFunded();
    const { model, own, stranger } = await scene(owner);
    const body = { octo: { include: [owner.accountId] } };
    for (let at = 0; at < 4; at++) {
      const response = await chat(owner, model, { body });
      expect(response.headers.get("x-octo-worker")).toBe(own.id);
      const { task } = await storedTask(owner, response.headers.get("x-octo-task") ?? "");
      expect([task.holdMicros, task.costMicros]).toEqual([0n, 0n]);
    }
    expect((await untilSettled(owner)).balance).toBe(10_000_000n);
    expect(stranger.attempts).toHaveLength(0);
  });
});

describe("a dry run", () => {
  const messages = [{ role: "user", content: "hi" }];

  test("says where own workers alone would be asked, and what that costs", async () => {
    const { model, owner, own } = await scene();
    const body = { model, messages };
    const { json } = await call("POST /api/v1/route", { key: owner.key, body });
    expect(json).toMatchObject({
      own_only: true,
      cost_micros_max: 0,
      hubs: [{ outcome: "chosen", route: { own_only: true, worker_id: own.id } }],
    });
    const rich = await newFunded();
    const others = await call("POST /api/v1/route", { key: rich.key, body });
    expect(others.json).toMatchObject({ own_only: false, hubs: [{ route: { own_only: false } }] });
    expect(Number(others.json["cost_micros_max"])).toBeGreaterThan(0);
    const poor = await newConsumer();
    const unpaid = await call("POST /api/v1/route", { key: poor.key, body });
    expect(unpaid.json).toMatchObject({ own_only: false });
    expect((await summaryOf(owner)).held).toBe(0n);
  });

  test("refuses what no worker of anybody's offers", async () => {
    const owner = await newConsumer();
    const body = { model: newModel(), messages };
    const error = await refusal("POST /api/v1/route", { key: owner.key, body });
    expect(error.code).toBe("model_not_found");
  });
});
