import { beforeAll, describe, expect, test } from "vitest";
import { sha256Hex } from "../../../shared/crypto/bytes.ts";
import { type Price, costMicros } from "../../../shared/money.ts";
import { defaultTariff } from "../../../shared/tariff.ts";
import { findTask } from "../../../edge/db/ledger/tasks.ts";
import {
  answering,
  chat,
  type Consumer,
  newFunded,
  newModel,
  serve,
  storedTask,
  summaryOf,
  untilListed,
  untilSettled,
} from "../world.ts";
import { call, newConsumer, openDatabase, refusal } from "./edge-client.ts";

/*
 * Tariffs count for the whole network: those made here change what `async` costs, which no other
 * test looks at, and keep the rest.
 */

const path = "/api/v1/tariffs";
let version = 0;

beforeAll(async () => {
  const { json } = await call(`GET ${path}`);
  const [newest] = json["data"] as { version: number }[];
  version = newest?.version ?? 0;
});

async function makeTariff(async: number, changes: Record<string, unknown> = {}) {
  version += 1;
  const modes = { realtime: 100, batch: 67, async };
  return call(`POST ${path}`, { body: { version, modes, ...changes } });
}

describe("a tariff", () => {
  test("is made by an operator and read by anybody, byte for byte what its hash is of", async () => {
    const consumer = await newConsumer();
    const made = await makeTariff(41);
    expect(made.status).toBe(201);
    expect(made.json).toMatchObject({
      object: "tariff",
      version,
      modes: { realtime: 100, batch: 67, async: 41 },
      split: defaultTariff.body.split,
    });
    const { hash, body } = made.json as { hash: string; body: string };
    expect(hash).toBe(await sha256Hex(body));
    const read = await call(`GET ${path}/${hash}`, { key: consumer.key });
    expect(read.json).toEqual(made.json);
    const listed = await call(`GET ${path}?limit=1`, { key: consumer.key });
    expect(listed.json).toMatchObject({ object: "list", current: hash, data: [made.json] });
  });

  test("that is built in can be read as well", async () => {
    const { status, json } = await call(`GET ${path}/${defaultTariff.hash}`);
    expect(status).toBe(200);
    expect(json).toMatchObject({ version: 0, effective_from: "1970-01-01T00:00:00.000Z" });
    expect(defaultTariff.hash).toBe(await sha256Hex(String(json["body"])));
  });

  test("of a version that is not the highest is a conflict, and changes nothing", async () => {
    await makeTariff(42);
    const before = await call(`GET ${path}`);
    for (const late of [version, version - 1]) {
      const error = await refusal(`POST ${path}`, { body: { version: late } });
      expect(error).toMatchObject({ status: 409, code: "conflict", param: "version" });
    }
    expect((await call(`GET ${path}`)).json).toEqual(before.json);
  });

  test("of the future is known, and does not count yet", async () => {
    const now = await makeTariff(43);
    const future = await makeTariff(44, { effective_from: "2999-01-01T00:00:00Z" });
    expect(future.status).toBe(201);
    const { json } = await call(`GET ${path}`);
    expect(json).toMatchObject({ current: now.json["hash"] });
    expect((json["data"] as unknown[])[0]).toEqual(future.json);
  });

  const bad: readonly (readonly [string, Record<string, unknown>])[] = [
    ["no version", { version: undefined }],
    ["version 0, which is built in", { version: 0 }],
    ["a version as text", { version: "9" }],
    ["a mode for nothing", { modes: { realtime: 100, batch: 67, async: 0 } }],
    ["a factor with a fraction", { modes: { realtime: 100, batch: 66.7, async: 40 } }],
    ["a mode left out", { modes: { realtime: 100 } }],
    ["a split of 101", { split: { ...defaultTariff.body.split, burn: 6 } }],
    ["a time that is none", { effective_from: "soon" }],
    ["a time before 1970", { effective_from: "1969-12-31T23:59:59Z" }],
    ["a hash of one's own", { hash: "00" }],
  ];
  test.each(bad)("with %s is refused", async (_what, changes) => {
    const body = { version: 1_000_000, ...changes };
    const error = await refusal(`POST ${path}`, { body });
    expect(error).toMatchObject({ status: 400, code: "invalid_request" });
  });

  test.each(["zz", "0".repeat(63), "A".repeat(64)])("%s is no hash", async (hash) => {
    expect(await refusal(`GET ${path}/${hash}`)).toMatchObject({ status: 400 });
  });
});

/** A hundred micros a token. */
const price: Price = { inputMicrosPerMillion: 100_000_000, outputMicrosPerMillion: 100_000_000 };
const listing = {
  input_micros_per_million: price.inputMicrosPerMillion,
  output_micros_per_million: price.outputMicrosPerMillion,
};

async function askedFor(consumer: Consumer, model: string, mode: string) {
  const response = await chat(consumer, model, { body: { octo: { mode } } });
  await response.text();
  expect(response.status).toBe(200);
  const id = response.headers.get("x-octo-task") ?? "";
  await storedTask(consumer, id);
  return call(`GET /api/v1/tasks/${id}`, { key: consumer.key });
}

describe("a task", () => {
  test("costs what its mode does, and says under which tariff", async () => {
    const made = await makeTariff(45);
    const model = newModel();
    const consumer = await newFunded();
    await serve(model, { listing, script: answering("a", "b") });
    await untilListed(model);
    for (const [mode, factor] of [
      ["realtime", 100],
      ["batch", 67],
      ["async", 45],
    ] as const) {
      const { json } = await askedFor(consumer, model, mode);
      const counts = {
        promptTokens: Number(json["prompt_tokens"]),
        completionTokens: Number(json["completion_tokens"]),
      };
      expect(json).toMatchObject({
        mode,
        tariff: made.json["hash"],
        cost_micros: Number(costMicros(counts, price, factor)),
      });
      const dry = await call("POST /api/v1/route", {
        key: consumer.key,
        body: {
          model,
          messages: [{ role: "user", content: "hi" }],
          max_completion_tokens: 1_000,
          octo: { mode },
        },
      });
      expect(dry.json["cost_micros_max"]).toBe(json["hold_micros"]);
    }
  });

  test("that is running while the tariff changes is settled under its own", async () => {
    const before = await makeTariff(46);
    const model = newModel();
    const consumer = await newFunded();
    await serve(model, {
      listing,
      script: async (attempt) => {
        await makeTariff(90);
        attempt.answer("a", "b");
      },
    });
    await untilListed(model);
    const { json } = await askedFor(consumer, model, "async");
    const counts = { promptTokens: Number(json["prompt_tokens"]), completionTokens: 2 };
    expect(json).toMatchObject({
      tariff: before.json["hash"],
      cost_micros: Number(costMicros(counts, price, 46)),
    });
    const { json: now } = await call(`GET ${path}`);
    expect(now["current"]).not.toBe(before.json["hash"]);
  });

  test("that one's own worker does costs nothing, and moves nothing", async () => {
    const model = newModel();
    const consumer = await newFunded();
    await serve(model, { listing, account: consumer.accountId, script: answering("a", "b") });
    await untilListed(model);
    const { json } = await askedFor(consumer, model, "realtime");
    expect(json).toMatchObject({ state: "settled", completion_tokens: 2, cost_micros: 0 });
    const summary = await untilSettled(consumer);
    expect(summary).toMatchObject({ balance: 10_000_000n, earned: 0n });
    expect(summary.journal.seq).toBe(1);
    await using db = openDatabase();
    const id = String(json["id"]);
    expect((await findTask(db, { accountId: consumer.accountId, id }))?.receipts).toHaveLength(1);
    expect((await summaryOf(consumer)).held).toBe(0n);
  });
});
