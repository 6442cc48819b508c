import { describe, expect, test } from "vitest";
import { call, newConsumer, refusal } from "./edge-client.ts";

const limits = {
  requests_per_minute: 60,
  tokens_per_minute: 100_000,
  concurrency: 4,
  max_tokens: 2_000,
  day_budget_micros: 5_000_000,
  month_budget_micros: 50_000_000,
  budget_end: "soft",
  models: { "octo-tiny": { requests_per_minute: 10 } },
};

test("an owner sets the limits of the account, reads them, and lifts them", async () => {
  const { accountId, key } = await newConsumer();
  expect((await call("GET /api/v1/account", { key })).json["limits"]).toBeNull();
  const routing = { strategy: "cost" };
  await call("PATCH /api/v1/account", { key, body: { routing } });
  const set = await call("PATCH /api/v1/account", { key, body: { limits } });
  expect(set.json).toMatchObject({ limits, routing });
  expect((await call("GET /api/v1/account", { key })).json).toMatchObject({ limits, routing });
  const read = await call(`GET /api/v1/accounts/${accountId}`);
  expect(read.json["limits"]).toEqual(limits);
  await call("PATCH /api/v1/account", { key, body: { limits: null } });
  expect((await call("GET /api/v1/account", { key })).json).toMatchObject({
    limits: null,
    routing,
  });
});

test("an operator sets them too, and other changes leave them", async () => {
  const { accountId, key } = await newConsumer();
  const path = `PATCH /api/v1/accounts/${accountId}`;
  expect((await call(path, { body: { limits } })).json).toMatchObject({ limits });
  expect((await call(path, { body: { name: "Bob" } })).json).toMatchObject({ limits });
  expect((await call("GET /api/v1/account", { key })).json).toMatchObject({ limits });
});

describe("limits that are none", () => {
  test.each([
    ["an unknown limit", { rpm: 5 }],
    ["a negative one", { requests_per_minute: -1 }],
    ["a fraction", { concurrency: 1.5 }],
    ["a text", { max_tokens: "5" }],
    ["more than is exact", { day_budget_micros: 2 ** 53 }],
    ["another end", { budget_end: "never" }],
    ["an unknown limit of a model", { models: { m: { rpm: 5 } } }],
    ["models within a model", { models: { m: { models: {} } } }],
    ["a model without a name", { models: { "": {} } }],
    [
      "too many models",
      { models: Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`m${at}`, {}])) },
    ],
    ["a list", []],
    ["a number", 5],
  ])("%s is refused by name, and changes nothing", async (_, body) => {
    const { accountId, key } = await newConsumer();
    for (const [route, of] of [
      ["PATCH /api/v1/account", { key }],
      [`PATCH /api/v1/accounts/${accountId}`, {}],
    ] as const) {
      const error = await refusal(route, { ...of, body: { limits: body } });
      expect(error).toMatchObject({ status: 400, code: "invalid_request" });
      expect(error.param).toMatch(/^limits/);
    }
    expect((await call("GET /api/v1/account", { key })).json["limits"]).toBeNull();
  });

  test("a change of nothing is refused", async () => {
    const { key } = await newConsumer();
    const error = await refusal("PATCH /api/v1/account", { key, body: {} });
    expect(error).toMatchObject({ status: 400, code: "invalid_request" });
  });

  test("a key that may only ask for answers changes no limits and sees no alerts", async () => {
    const { accountId } = await newConsumer();
    const made = await call("POST /api/v1/keys", {
      body: { account_id: accountId, name: "program", scopes: ["inference"] },
    });
    const key = String(made.json["key"]);
    const change = await refusal("PATCH /api/v1/account", { key, body: { limits: null } });
    expect(change).toMatchObject({ status: 403, code: "insufficient_scope" });
    expect((await refusal("GET /api/v1/alerts", { key })).status).toBe(403);
  });
});
