import { describe, expect, test } from "vitest";
import { newId } from "../../../shared/ids.ts";
import { call, newConsumer, refusal } from "./edge-client.ts";

describe("accounts", () => {
  test("an account is created open, with what was said and the defaults", async () => {
    const { status, json } = await call("POST /api/v1/accounts", { body: { name: " Alice " } });
    expect(status).toBe(201);
    expect(json).toMatchObject({ kind: "consumer", name: "Alice", concurrency_max: 128 });
    const read = await call(`GET /api/v1/accounts/${String(json["id"])}`);
    expect(read.json).toEqual({
      ...json,
      balance_micros: 0,
      available_micros: 0,
      held_micros: 0,
      earned_micros: 0,
      disputed_micros: 0,
      pending_micros: 0,
      other_balances: [],
      ledger_pending: false,
    });
  });

  test.each([
    ["an unknown field", { name: "A", balance_micros: 5 }, "balance_micros"],
    ["an id of one's own", { name: "A", id: newId("acct") }, "id"],
    ["a kind only the network has", { name: "A", kind: "system" }, "kind"],
    ["no name", {}, "name"],
    ["an empty name", { name: "  " }, "name"],
    ["a line feed in the name", { name: "a\nb" }, "name"],
    ["a negative limit", { name: "A", concurrency_max: -1 }, "concurrency_max"],
    ["a fractional limit", { name: "A", concurrency_max: 1.5 }, "concurrency_max"],
    ["a list", [], null],
  ])("%s is refused by name", async (_, body, param) => {
    const error = await refusal("POST /api/v1/accounts", { body });
    expect(error).toMatchObject({ status: 400, code: "invalid_request", param });
  });

  test("accounts are listed in pages, newest first, each once", async () => {
    const created = [await newConsumer(), await newConsumer(), await newConsumer()];
    const seen: string[] = [];
    let cursor = "";
    for (let page = 0; page < 200; page++) {
      const { json } = await call(`GET /api/v1/accounts?limit=2${cursor}`);
      seen.push(...(json["data"] as { id: string }[]).map(({ id }) => id));
      if (json["next_cursor"] === null) break;
      cursor = `&cursor=${String(json["next_cursor"])}`;
    }
    expect(new Set(seen).size).toBe(seen.length);
    for (const { accountId } of created) expect(seen).toContain(accountId);
  });

  test.each([
    ["limit=0", "limit"],
    ["limit=101", "limit"],
    ["limit=1e1", "limit"],
    ["limit=1&limit=2", "limit"],
    ["cursor=nonsense!", "cursor"],
    [`cursor=${btoa('[1,"\\u0000"]')}`, "cursor"],
    [`cursor=${btoa('[1,"\\ud800"]')}`, "cursor"],
    ["kind=king", "kind"],
    ["order=asc", "order"],
  ])("the query %s is refused by name", async (query, param) => {
    const error = await refusal(`GET /api/v1/accounts?${query}`);
    expect(error).toMatchObject({ status: 400, code: "invalid_request", param });
  });

  test("an id of another form is refused by name", async () => {
    const error = await refusal("GET /api/v1/accounts/alice");
    expect(error).toMatchObject({ status: 400, code: "invalid_request", param: "id" });
  });

  test("a suspended account's keys are refused until it is active again", async () => {
    const { accountId, key } = await newConsumer();
    const path = `PATCH /api/v1/accounts/${accountId}`;
    const suspended = await call(path, { body: { status: "suspended" } });
    expect(suspended.json).toMatchObject({ status: "suspended", concurrency_max: 128 });
    expect((await call("GET /api/v1/account", { key })).status).toBe(401);
    await call(path, { body: { status: "active", concurrency_max: 3, name: "Bob" } });
    const own = await call("GET /api/v1/account", { key });
    expect(own.json).toMatchObject({ id: accountId, status: "active", concurrency_max: 3 });
    const read = await call(`GET /api/v1/accounts/${accountId}`);
    expect(read.json).toMatchObject({ name: "Bob", concurrency_max: 3 });
  });

  test("a change of nothing, or of the balance, is refused", async () => {
    const { accountId } = await newConsumer();
    const path = `PATCH /api/v1/accounts/${accountId}`;
    expect((await refusal(path, { body: {} })).status).toBe(400);
    expect((await refusal(path, { body: { balance_micros: 1 } })).param).toBe("balance_micros");
  });

  test("the deployment's own key has no account of its own", async () => {
    expect((await refusal("GET /api/v1/account")).status).toBe(404);
  });
});

describe("credit", () => {
  test("credit reaches the balance at once and the ledger soon, which stays balanced", async () => {
    const { accountId, key } = await newConsumer();
    const given = await call(`POST /api/v1/accounts/${accountId}/credits`, {
      body: { amount_micros: 5_000_000, reason: "welcome" },
    });
    expect(given.status).toBe(201);
    expect(given.json).toMatchObject({ amount_micros: 5_000_000, balance_micros: 5_000_000 });
    const own = await call("GET /api/v1/account", { key });
    expect(own.json).toMatchObject({ balance_micros: 5_000_000, held_micros: 0 });
    const pending = async () =>
      (await call(`GET /api/v1/accounts/${accountId}`)).json["ledger_pending"];
    await expect.poll(pending, { timeout: 10_000 }).toBe(false);
    const books = await call("GET /api/v1/ledger/conservation");
    expect(books.json).toMatchObject({
      conserved: true,
      assets: [{ asset: "CREDIT", sum_micros: 0 }],
    });
  });

  test("the same Idempotency-Key gives credit once; another amount under it is a conflict", async () => {
    const { accountId } = await newConsumer();
    const path = `POST /api/v1/accounts/${accountId}/credits`;
    const headers = { "idempotency-key": "grant-1" };
    const again = Array.from({ length: 4 }, () =>
      call(path, { body: { amount_micros: 7 }, headers }),
    );
    const answers = await Promise.all(again);
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(answers[0]?.json).toMatchObject({ balance_micros: 7 });
    const other = await refusal(path, { body: { amount_micros: 8 }, headers });
    expect(other).toMatchObject({ status: 409, code: "idempotency_conflict" });
    const elsewhere = await newConsumer();
    const theirs = await call(`POST /api/v1/accounts/${elsewhere.accountId}/credits`, {
      body: { amount_micros: 8 },
      headers,
    });
    expect(theirs.json).toMatchObject({ balance_micros: 8 });
  });

  test.each([[0], [-1], [0.5], [1e15 + 1], [1e300], ["5"], [null], [true], [[5]]])(
    "an amount of %j is refused",
    async (amount) => {
      const { accountId } = await newConsumer();
      const error = await refusal(`POST /api/v1/accounts/${accountId}/credits`, {
        body: { amount_micros: amount },
      });
      expect(error).toMatchObject({ status: 400, param: "amount_micros" });
    },
  );

  test("a reason is one line of text, as the journal's hash and the ledger both keep it", async () => {
    const { accountId } = await newConsumer();
    for (const reason of ["a\u0000b", "a\nb", "a\u0085b"]) {
      const path = `POST /api/v1/accounts/${accountId}/credits`;
      const error = await refusal(path, { body: { amount_micros: 1, reason } });
      expect(error).toMatchObject({ status: 400, param: "reason" });
      const approval = { kind: "mint", account_id: accountId, amount_micros: 1, reason };
      const asked = await refusal("POST /api/v1/approvals", { body: approval });
      expect(asked).toMatchObject({ status: 400, param: "reason" });
    }
  });

  test("a balance stops where JSON would round it, also when asked at the same time", async () => {
    const { accountId } = await newConsumer();
    // More than one operator gives alone.
    const { key } = await newConsumer("operator");
    const body = { kind: "mint", account_id: accountId, amount_micros: 1e15, reason: "a test" };
    const asked = Array.from({ length: 12 }, () => call("POST /api/v1/approvals", { body }));
    const ids = (await Promise.all(asked)).map(({ json }) => String(json["id"]));
    const approved = ids.map((id) => call(`POST /api/v1/approvals/${id}/approve`, { key }));
    const statuses = (await Promise.all(approved)).map(({ status }) => status).toSorted();
    expect(statuses).toEqual([...Array<number>(9).fill(200), 400, 400, 400]);
    const { json } = await call(`GET /api/v1/accounts/${accountId}`);
    expect(json["balance_micros"]).toBe(9e15);
  });

  test("an Idempotency-Key that is no header text of ours is refused", async () => {
    const { accountId } = await newConsumer();
    const error = await refusal(`POST /api/v1/accounts/${accountId}/credits`, {
      body: { amount_micros: 1 },
      headers: { "idempotency-key": "two words" },
    });
    expect(error).toMatchObject({ status: 400 });
    expect(error.message).toContain("Idempotency-Key");
  });
});
