import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import type { Account } from "../../../edge/billing/account.ts";
import { accountObject } from "../../../edge/objects.ts";
import { errorSchema } from "../../../edge/openapi/openai-answers.ts";
import type { Limits } from "../../../shared/limits.ts";
import { newId } from "../../../shared/ids.ts";
import type { FakeAttempt } from "../../helpers/fake-worker.ts";
import { until } from "../../helpers/until.ts";
import { call, env } from "../routes/edge-client.ts";
import {
  answering,
  chat,
  type ChatOptions,
  type Consumer,
  hasLeased,
  newFunded,
  newModel,
  serve,
  storedTask,
  untilListed,
  untilSettled,
} from "../world.ts";

function objectOf({ accountId }: Consumer): DurableObjectStub<Account> {
  return accountObject(env, accountId);
}

/** A funded consumer whose key has these limits. */
async function limited(limits: Limits | null): Promise<Consumer> {
  const consumer = await newFunded();
  await limitKey(consumer, limits);
  return consumer;
}

function limitKey(consumer: Consumer, limits: Limits | null): Promise<void> {
  const settings = { teamId: "team_1", projectId: null, limits };
  return objectOf(consumer).setKey(consumer.keyId, "active", settings) as Promise<void>;
}

async function served(script = answering("one ", "two")) {
  const model = newModel();
  const worker = await serve(model, { slots: 64, script });
  await untilListed(model);
  return { model, worker };
}

/** A model whose tasks run until the test lets them end. */
async function servedLong() {
  const attempts: FakeAttempt[] = [];
  const { model } = await served((attempt) => {
    attempts.push(attempt);
    attempt.accept();
    attempt.delta("so ");
  });
  const endAll = () => Promise.all(attempts.splice(0).map((attempt) => attempt.end()));
  return { model, attempts, endAll };
}

/**
 * Asks many times at once: so many tasks run, and only when all the others have been refused are
 * they let end.
 */
async function askWhileRunning(
  consumer: Consumer,
  { model, attempts, endAll }: Awaited<ReturnType<typeof servedLong>>,
  { asked, running }: { readonly asked: number; readonly running: number },
): Promise<Told[]> {
  const told: Told[] = [];
  const all = Array.from({ length: asked }, async () => told.push(await ask(consumer, model)));
  let beatMs = Date.now();
  await until(`${running} tasks run and the others are refused`, () => {
    // A worker that says nothing for two seconds has stalled.
    if (Date.now() - beatMs > 500) {
      for (const attempt of attempts) attempt.delta("so ");
      beatMs = Date.now();
    }
    return attempts.length === running && told.length === asked - running;
  });
  await endAll();
  await Promise.all(all);
  return told;
}

interface Told {
  readonly status: number;
  readonly headers: Headers;
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly param: string | null;
  };
}

async function ask(consumer: Consumer, model: string, options?: ChatOptions): Promise<Told> {
  const response = await chat(consumer, model, options);
  const json: unknown = await response.json();
  const none = { code: "", message: "", param: null };
  const { status, headers } = response;
  return { status, headers, error: status === 200 ? none : errorSchema.parse(json).error };
}

function askAtOnce(count: number, consumer: Consumer, model: string): Promise<Told[]> {
  return Promise.all(Array.from({ length: count }, () => ask(consumer, model)));
}

function statuses(told: readonly Told[]): Record<number, number> {
  const groups = Map.groupBy(told, ({ status }) => status);
  return Object.fromEntries([...groups].map(([status, { length }]) => [status, length]));
}

/** What a task of the tests here can cost at most. */
async function holdMicros(model: string): Promise<number> {
  const consumer = await newFunded();
  const { headers } = await ask(consumer, model);
  const { task } = await storedTask(consumer, headers.get("x-octo-task") ?? "");
  return Number(task.holdMicros);
}

function rateHeadersOf({ headers }: Told): Record<string, string> {
  return Object.fromEntries([...headers].filter(([name]) => name.startsWith("x-ratelimit-")));
}

describe("requests at the same time", () => {
  test("beyond a minute's are refused, exactly, and told when to come back", async () => {
    const [consumer, { model }] = [await limited({ requests_per_minute: 3 }), await served()];
    const told = await askAtOnce(15, consumer, model);
    expect(statuses(told)).toEqual({ 200: 3, 429: 12 });
    const refused = told.filter(({ status }) => status === 429);
    for (const { error, headers } of refused) {
      expect(error.code).toBe("rate_limit_exceeded");
      expect(error.message).toMatch(
        new RegExp(`^Cannot start task tsk_\\w+: the key ${consumer.keyId} may make 3 requests`),
      );
      // One flows in every twenty seconds, and all three take a minute.
      const [wait, reset] = ["retry-after", "x-ratelimit-reset-requests"].map((name) =>
        headers.get(name),
      );
      const resetS = reset === "1m0s" ? 60 : Number(/^(\d+(\.\d+)?)s$/.exec(reset ?? "")?.[1]);
      expect(Number(wait)).toBe(Math.ceil(resetS - 40));
      expect(headers.get("x-should-retry")).toBe("true");
      expect(headers.get("x-ratelimit-limit-requests")).toBe("3");
      expect(headers.get("x-ratelimit-remaining-requests")).toBe("0");
    }
    const left = told
      .filter(({ status }) => status === 200)
      .map(({ headers }) => headers.get("x-ratelimit-remaining-requests"));
    expect(left.toSorted()).toEqual(["0", "1", "2"]);
  });

  test("beyond a number of tasks are refused, and one that ends makes room", async () => {
    const [consumer, long] = [await limited({ concurrency: 3 }), await servedLong()];
    const told = await askWhileRunning(consumer, long, { asked: 8, running: 3 });
    expect(statuses(told)).toEqual({ 200: 3, 429: 5 });
    expect(told[0]?.error.message).toContain("may run 3 tasks at a time");
    await untilSettled(consumer);
    const again = await askWhileRunning(consumer, long, { asked: 4, running: 3 });
    expect(statuses(again)).toEqual({ 200: 3, 429: 1 });
  });

  test("hold the tokens they may use, and give back those they did not", async () => {
    const [consumer, long] = [await limited({ tokens_per_minute: 3_500 }), await servedLong()];
    const told = await askWhileRunning(consumer, long, { asked: 6, running: 2 });
    // Each may make 1,000 tokens of a prompt of some 250.
    expect(statuses(told)).toEqual({ 200: 2, 429: 4 });
    await untilSettled(consumer);
    const [last] = await askWhileRunning(consumer, long, { asked: 1, running: 1 });
    expect(last?.headers.get("x-ratelimit-limit-tokens")).toBe("3500");
    const left = Number(last?.headers.get("x-ratelimit-remaining-tokens"));
    expect(left).toBeGreaterThan(2_000);
    expect(left).toBeLessThan(2_500);
  });

  test("never spend more than a day's budget, whatever they may cost together", async () => {
    const long = await servedLong();
    const { model: short } = await served();
    const budget = 3 * (await holdMicros(short)) + 5;
    const consumer = await limited({ day_budget_micros: budget });
    const told = await askWhileRunning(consumer, long, { asked: 9, running: 3 });
    expect(statuses(told)).toEqual({ 200: 3, 402: 6 });
    const refused = told.find(({ status }) => status === 402);
    expect(refused?.error.code).toBe("insufficient_quota");
    expect(refused?.error.message).toMatch(/may spend \d+ micros a day; .*T00:00:00\.000Z$/);
    expect(refused?.headers.get("x-should-retry")).toBe("false");
    await untilSettled(consumer);
  });
});

describe("a budget", () => {
  test("that was spent is spent after the object lost its memory", async () => {
    const { model } = await served();
    const budget = (await holdMicros(model)) + 1;
    const consumer = await limited({ month_budget_micros: budget });
    expect(statuses(await askAtOnce(1, consumer, model))).toEqual({ 200: 1 });
    await untilSettled(consumer);
    // Two micros are spent, so another task has no room by one.
    expect((await ask(consumer, model)).status).toBe(402);
    const crashed = runInDurableObject(objectOf(consumer), (_, state) => state.abort("gone"));
    await crashed.catch(() => "as it should: the call dies with its object");
    expect((await ask(consumer, model)).error.message).toContain("2 are spent, 0 held");
    await evictDurableObject(objectOf(consumer));
    expect((await ask(consumer, model)).status).toBe(402);
    const month = await limited({ month_budget_micros: budget, budget_end: "soft" });
    expect(statuses(await askAtOnce(3, month, model))).toEqual({ 200: 3 });
  });

  test("that is soft goes on, and tells at 80, 95 and 100 percent, once", async () => {
    const { model } = await served();
    const consumer = await limited({ day_budget_micros: 10, budget_end: "soft" });
    const alerts = async () => {
      const { json } = await call("GET /api/v1/alerts", { key: consumer.key });
      return json["data"] as { id: string; percent: number }[];
    };
    // Two micros each.
    for (const percents of [[], [], [], [80], [80, 95, 100], [80, 95, 100]]) {
      expect((await ask(consumer, model)).status).toBe(200);
      await untilSettled(consumer);
      const told = (await alerts()).map(({ percent }) => percent);
      expect(told.toSorted((a, b) => a - b)).toEqual(percents);
    }
    expect((await alerts())[0]).toEqual({
      object: "alert",
      id: expect.stringMatching(/^alr_[0-9a-f]{32}$/),
      scope: "key",
      scope_id: consumer.keyId,
      period: "day",
      percent: expect.any(Number),
      spent_micros: 10,
      budget_micros: 10,
      created_at: expect.any(String),
    });
    const page = await call("GET /api/v1/alerts?limit=2", { key: consumer.key });
    const next = String(page.json["next_cursor"]);
    const rest = await call(`GET /api/v1/alerts?limit=2&cursor=${next}`, { key: consumer.key });
    const ids = [page, rest].flatMap(({ json }) => json["data"] as { id: string }[]);
    expect(new Set(ids.map(({ id }) => id)).size).toBe(3);
    const other = await newFunded();
    const theirs = await call("GET /api/v1/alerts", { key: other.key });
    expect(theirs.json["data"]).toEqual([]);
  });
});

describe("limits above a key", () => {
  test("of its account hold for all keys together", async () => {
    const [consumer, { model }] = [await newFunded(), await served()];
    const body = { limits: { requests_per_minute: 3 } };
    const own = await call("PATCH /api/v1/account", { key: consumer.key, body });
    expect(own.json).toMatchObject(body);
    const made = await call("POST /api/v1/keys", {
      body: { account_id: consumer.accountId, name: "second" },
    });
    const second = { ...consumer, key: String(made.json["key"]) };
    const told = await Promise.all([askAtOnce(4, consumer, model), askAtOnce(4, second, model)]);
    expect(statuses(told.flat())).toEqual({ 200: 3, 429: 5 });
  });

  test("of its team hold for the keys of the team, and for a model alone where they say so", async () => {
    const [consumer, { model }] = [await limited(null), await served()];
    const { model: other } = await served();
    const limits = { models: { [model]: { requests_per_minute: 2 } } };
    await objectOf(consumer).setLimits({ scope: "team", id: "team_1" }, limits);
    const told = await askAtOnce(5, consumer, model);
    expect(statuses(told)).toEqual({ 200: 2, 429: 3 });
    const { error } = told.find(({ status }) => status === 429) ?? told[0] ?? { error: null };
    expect(error?.message).toContain(`the team team_1 may make 2 requests of ${model} a minute`);
    expect(statuses(await askAtOnce(4, consumer, other))).toEqual({ 200: 4 });
    await objectOf(consumer).setLimits({ scope: "team", id: "team_1" }, null);
    expect(statuses(await askAtOnce(4, consumer, model))).toEqual({ 200: 4 });
  });

  test("of a model hold by its digest too, which names the same model", async () => {
    const { model } = await served();
    const consumer = await limited({ models: { [model]: { requests_per_minute: 2 } } });
    const { json } = await call(`GET /v1/models/${model}`, { key: consumer.key });
    const { digest } = json["octo"] as { digest: string };
    const told = await askAtOnce(3, consumer, digest);
    expect(statuses(told)).toEqual({ 200: 2, 429: 1 });
    expect(statuses(await askAtOnce(1, consumer, model))).toEqual({ 429: 1 });
  });

  test("are known again after the object lost its memory", async () => {
    const [consumer, { model }] = [await limited(null), await served()];
    await objectOf(consumer).setLimits({ scope: "team", id: "team_1" }, { concurrency: 0 });
    await evictDurableObject(objectOf(consumer));
    expect((await ask(consumer, model)).error.message).toContain("the team team_1 may make 0");
  });
});

describe("the length of an answer", () => {
  test("that was asked for beyond the limit is refused by name", async () => {
    const [consumer, { model, worker }] = [await limited({ max_tokens: 999 }), await served()];
    const { status, error } = await ask(consumer, model);
    expect([status, error.code, error.param]).toEqual([
      400,
      "invalid_request",
      "max_completion_tokens",
    ]);
    expect(error.message).toContain("may make 999 tokens in one task, and this may make 1000");
    expect(worker.attempts).toEqual([]);
  });

  test("is the longest that is allowed where none was asked for", async () => {
    const [consumer, { model, worker }] = [await limited({ max_tokens: 999 }), await served()];
    const body = { max_completion_tokens: undefined };
    expect((await ask(consumer, model, { body })).status).toBe(200);
    expect(worker.attempts[0]?.request).toMatchObject({ max_completion_tokens: 999 });
    await untilSettled(consumer);
  });
});

describe("headers", () => {
  test("say nothing of limits where there are none", async () => {
    const [consumer, { model }] = [await limited({ concurrency: 9 }), await served()];
    expect(rateHeadersOf(await ask(consumer, model))).toEqual({});
    expect(rateHeadersOf(await ask(await newFunded(), model))).toEqual({});
  });

  test("of streams say what is left, those of a repeated answer nothing", async () => {
    const limits = { requests_per_minute: 60, tokens_per_minute: 60_000 };
    const [consumer, { model }] = [await limited(limits), await served()];
    const headers = { "idempotency-key": "once" };
    const stream = await chat(consumer, model, { stream: true, headers });
    const told = [...stream.headers].filter(([name]) => name.startsWith("x-ratelimit"));
    expect(Object.fromEntries(told)).toEqual({
      "x-ratelimit-limit-requests": "60",
      "x-ratelimit-limit-tokens": "60000",
      "x-ratelimit-remaining-requests": "59",
      "x-ratelimit-remaining-tokens": expect.stringMatching(/^5\d{4}$/),
      "x-ratelimit-reset-requests": "1s",
      "x-ratelimit-reset-tokens": expect.stringMatching(/^1\.\d+s$/),
    });
    expect(stream.headers.get("access-control-expose-headers")).toContain(
      "x-ratelimit-reset-tokens",
    );
    await stream.text();
    const again = await until("the answer is kept", async () => {
      const repeated = await chat(consumer, model, { stream: true, headers });
      await repeated.text();
      return repeated.status === 200 && repeated;
    });
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect([...again.headers.keys()].filter((name) => name.startsWith("x-ratelimit"))).toEqual([]);
  });
});

describe("a key that is leased", () => {
  test("is under its limit from when setting that has returned, and is leased no more", async () => {
    const [consumer, { model }] = [await newFunded(), await served()];
    const lease = () => {
      const { keyId } = consumer;
      const ask = { id: newId("lea"), keyId, limit: 10_000n, tasks: 8, taskLimit: 10n };
      return objectOf(consumer).lease(ask);
    };
    await until("the key is busy enough for a lease", async () => {
      expect((await ask(consumer, model)).status).toBe(200);
      return hasLeased(consumer);
    });
    expect(await lease()).not.toBeNull();
    await limitKey(consumer, { requests_per_minute: 3 });
    const told = await askAtOnce(20, consumer, model);
    expect(statuses(told)).toEqual({ 200: 3, 429: 17 });
    await limitKey(consumer, { requests_per_minute: 1_000_000 });
    for (let burst = 0; burst < 4; burst++) {
      expect(statuses(await askAtOnce(8, consumer, model))).toEqual({ 200: 8 });
    }
    expect(await lease()).toBeNull();
  });
});
