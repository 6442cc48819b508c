import { describe, expect, test } from "vitest";
import { decideApproval } from "../../../edge/db/money/approvals.ts";
import { finishMoney } from "../../../edge/routes/money/finish-money.ts";
import { newId } from "../../../shared/ids.ts";
import { brokenCall, databaseFailures } from "./broken-call.ts";
import { call, env, newConsumer, openDatabase, operatorKey, refusal } from "./edge-client.ts";

/** What one operator gives alone: OCTO_FOUR_EYES_MICROS in vitest.config.ts. */
const limit = 1_000_000_000_000;
const much = 2 * limit;

async function ask(accountId: string, key?: string): Promise<string> {
  const body = { kind: "mint", account_id: accountId, amount_micros: much, reason: "by bank" };
  const { status, json } = await call("POST /api/v1/approvals", {
    body,
    ...(key === undefined ? {} : { key }),
  });
  expect(status).toBe(201);
  expect(json).toMatchObject({ ...body, state: "pending", decided_by: null });
  return String(json["id"]);
}

async function balanceOf(accountId: string): Promise<unknown> {
  return (await call(`GET /api/v1/accounts/${accountId}`)).json["balance_micros"];
}

describe("what one operator gives alone", () => {
  const giving = (accountId: string, key: string, micros: number, headers = {}) =>
    call(`POST /api/v1/accounts/${accountId}/credits`, {
      key,
      headers,
      body: { amount_micros: micros },
    });
  const newOperator = () => newConsumer("operator");

  test("ends at the limit, and whoever wants more is told how", async () => {
    const [{ accountId }, { key }] = [await newConsumer(), await newOperator()];
    expect((await giving(accountId, key, limit + 1)).status).toBe(403);
    expect((await giving(accountId, key, limit)).status).toBe(201);
    const path = `POST /api/v1/accounts/${accountId}/credits`;
    const error = await refusal(path, { key, body: { amount_micros: 1 } });
    expect(error).toMatchObject({ status: 403, code: "insufficient_scope" });
    expect(error.message).toContain("POST /api/v1/approvals");
    expect(error.message).toContain(`you have given ${limit}`);
    expect(await balanceOf(accountId)).toBe(limit);
  });

  test("counts together, whomever it is given to and however it is split", async () => {
    const { key } = await newOperator();
    const accounts = await Promise.all([newConsumer(), newConsumer(), newConsumer()]);
    const statuses: number[] = [];
    for (const { accountId } of accounts) {
      statuses.push((await giving(accountId, key, 0.4 * limit)).status);
    }
    expect(statuses).toEqual([201, 201, 403]);
    // What is left of it can be given still.
    expect((await giving(accounts[2]?.accountId ?? "", key, 0.2 * limit)).status).toBe(201);
  });

  test("is no more where it is asked for all at once", async () => {
    const { key } = await newOperator();
    const accounts = await Promise.all(Array.from({ length: 5 }, () => newConsumer()));
    const asked = accounts.map(({ accountId }) => giving(accountId, key, 0.4 * limit));
    const statuses = (await Promise.all(asked)).map(({ status }) => status).toSorted();
    expect(statuses).toEqual([201, 201, 403, 403, 403]);
    const balances = await Promise.all(accounts.map(({ accountId }) => balanceOf(accountId)));
    expect(balances.map(Number).reduce((sum, one) => sum + one)).toBe(0.8 * limit);
  });

  test("is no more for an account that several operators give to", async () => {
    const { accountId } = await newConsumer();
    const operators = await Promise.all([newOperator(), newOperator(), newOperator()]);
    const asked = operators.map(({ key }) => giving(accountId, key, 0.4 * limit));
    const statuses = (await Promise.all(asked)).map(({ status }) => status).toSorted();
    expect(statuses).toEqual([201, 201, 403]);
    expect(await balanceOf(accountId)).toBe(0.8 * limit);
  });

  test("is no more with a second key of the operator's account, nor with a rotated one", async () => {
    const operator = await newOperator();
    const { accountId } = await newConsumer();
    expect((await giving(accountId, operator.key, limit)).status).toBe(201);
    const body = { account_id: operator.accountId, name: "second", scopes: ["operator"] };
    const second = String((await call("POST /api/v1/keys", { body })).json["key"]);
    const rotated = await call(`POST /api/v1/keys/${operator.keyId}/rotate`, { body: {} });
    const elsewhere = await newConsumer();
    for (const key of [second, String(rotated.json["key"])]) {
      expect((await giving(elsewhere.accountId, key, 1)).status).toBe(403);
    }
    expect(await balanceOf(elsewhere.accountId)).toBe(0);
  });

  test("counts once under an Idempotency-Key, which gives again what it gave", async () => {
    const [{ accountId }, { key }] = [await newConsumer(), await newOperator()];
    const headers = { "idempotency-key": "May" };
    const asked = Array.from({ length: 3 }, () => giving(accountId, key, 0.9 * limit, headers));
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([201, 201, 201]);
    expect(await balanceOf(accountId)).toBe(0.9 * limit);
    expect((await giving(accountId, key, 0.1 * limit)).status).toBe(201);
  });

  test("is free again a day later", async () => {
    const [{ accountId }, { key }] = [await newConsumer(), await newOperator()];
    expect((await giving(accountId, key, limit)).status).toBe(201);
    await using db = openDatabase();
    const dayMs = 24 * 3_600_000;
    await db.migrate("let a day pass", [
      `update credits set created_at = created_at - ${dayMs - 60_000}
        where account_id = '${accountId}'`,
    ]);
    expect((await giving(accountId, key, 1)).status).toBe(403);
    await db.migrate("let a minute pass", [
      `update credits set created_at = created_at - 60000 where account_id = '${accountId}'`,
    ]);
    expect((await giving(accountId, key, limit)).status).toBe(201);
  });

  test.each(databaseFailures)(
    "is given once by whoever asks again after the database %s",
    async (how) => {
      const { accountId } = await newConsumer();
      for (let batch = 1; ; batch++) {
        const route = `POST /api/v1/accounts/${accountId}/credits`;
        const headers = { "idempotency-key": `try-${batch}` };
        const body = { amount_micros: 1_000 };
        const sent = { key: operatorKey, body: JSON.stringify(body), headers };
        const isBroken = await brokenCall(route, { batch, how }, sent);
        expect((await call(route, { body, headers })).status).toBe(201);
        expect(await balanceOf(accountId)).toBe(batch * 1_000);
        if (!isBroken) break;
      }
    },
  );
});

test("what another operator approves is given once, however often it is approved", async () => {
  const { accountId } = await newConsumer();
  const { key, keyId } = await newConsumer("operator");
  const id = await ask(accountId);
  const answers = await Promise.all(
    Array.from({ length: 4 }, () => call(`POST /api/v1/approvals/${id}/approve`, { key })),
  );
  for (const { status, json } of answers) {
    expect({ status, json }).toMatchObject({
      status: 200,
      json: { id, state: "approved", decided_by: keyId },
    });
  }
  expect(await balanceOf(accountId)).toBe(much);
  const list = await call("GET /api/v1/approvals");
  expect(list.json["data"]).toContainEqual(expect.objectContaining({ id, state: "approved" }));
});

test("whoever asks does not decide", async () => {
  const { accountId } = await newConsumer();
  const id = await ask(accountId);
  for (const verb of ["approve", "reject"]) {
    const error = await refusal(`POST /api/v1/approvals/${id}/${verb}`);
    expect(error).toMatchObject({ status: 409, code: "conflict" });
    expect(error.message).toContain("whoever asks does not decide");
  }
  expect(await balanceOf(accountId)).toBe(0);
});

test("another key of the account that asked does not decide", async () => {
  const { accountId } = await newConsumer();
  const operator = await newConsumer("operator");
  const body = { account_id: operator.accountId, name: "second", scopes: ["operator"] };
  const second = String((await call("POST /api/v1/keys", { body })).json["key"]);
  const id = await ask(accountId, operator.key);
  const error = await refusal(`POST /api/v1/approvals/${id}/approve`, { key: second });
  expect(error).toMatchObject({ status: 409, code: "conflict" });
  expect(await balanceOf(accountId)).toBe(0);
  expect((await call(`POST /api/v1/approvals/${id}/approve`)).status).toBe(200);
});

test("one operator has no second key to decide with", async () => {
  const { accountId } = await newConsumer();
  const { key, keyId } = await newConsumer("operator");
  const body = { account_id: accountId, name: "me again", scopes: ["operator"] };
  const tried = [
    refusal("POST /api/v1/keys", { key, body }),
    refusal(`POST /api/v1/keys/${keyId}/rotate`, { key, body: {} }),
    refusal("POST /key/regenerate", { key, body: {} }),
  ];
  for (const error of await Promise.all(tried)) {
    expect(error).toMatchObject({ status: 403, code: "insufficient_scope", param: "scopes" });
  }
  expect((await call(`POST /api/v1/keys/${keyId}/rotate`, { body: {} })).status).toBe(201);
});

test("what was rejected stays rejected, and what was approved stays approved", async () => {
  const { accountId } = await newConsumer();
  const { key } = await newConsumer("operator");
  const rejected = await ask(accountId);
  const reject = await call(`POST /api/v1/approvals/${rejected}/reject`, { key });
  expect(reject.json["state"]).toBe("rejected");
  const late = await refusal(`POST /api/v1/approvals/${rejected}/approve`, { key });
  expect(late).toMatchObject({ status: 409, message: expect.stringContaining("rejected already") });
  expect(await balanceOf(accountId)).toBe(0);
  const approved = await ask(accountId);
  await call(`POST /api/v1/approvals/${approved}/approve`, { key });
  expect((await refusal(`POST /api/v1/approvals/${approved}/reject`, { key })).status).toBe(409);
  expect(await balanceOf(accountId)).toBe(much);
});

test("approvals are operators' own, and unknown ones are not found", async () => {
  const { accountId, key } = await newConsumer();
  const body = { kind: "mint", account_id: accountId, amount_micros: much, reason: "please" };
  expect((await refusal("POST /api/v1/approvals", { key, body })).status).toBe(403);
  expect((await refusal("GET /api/v1/approvals", { key })).status).toBe(403);
  expect((await refusal(`POST /api/v1/approvals/apr_${"0".repeat(22)}/approve`)).status).toBe(404);
  const unknown = { ...body, account_id: newId("acct") };
  expect((await refusal("POST /api/v1/approvals", { body: unknown })).status).toBe(404);
});

test.each(databaseFailures)(
  "an approval that broke off as the database %s is carried out by approving again, once",
  async (how) => {
    const { accountId } = await newConsumer();
    const { key } = await newConsumer("operator");
    for (let batch = 1; ; batch++) {
      const route = `POST /api/v1/approvals/${await ask(accountId)}/approve`;
      const isBroken = await brokenCall(route, { batch, how }, { key, body: null });
      expect((await call(route, { key })).status).toBe(200);
      expect(await balanceOf(accountId)).toBe(batch * much);
      if (!isBroken) break;
    }
  },
);

test("what was approved by an edge that died is done by the timer, once", async () => {
  const { accountId } = await newConsumer();
  const { key, keyId: decidedBy, accountId: decidedByAccount } = await newConsumer("operator");
  const id = await ask(accountId);
  await using db = openDatabase();
  const nowMs = Date.now();
  await decideApproval(db, { id, state: "approved", decidedBy, decidedByAccount, atMs: nowMs });
  // Somebody may be at it still.
  await finishMoney(env, db, nowMs + 60_000);
  expect(await balanceOf(accountId)).toBe(0);
  for (let times = 0; times < 2; times++) await finishMoney(env, db, nowMs + 20 * 60_000);
  expect(await balanceOf(accountId)).toBe(much);
  const again = await call(`POST /api/v1/approvals/${id}/approve`, { key });
  expect(again.json).toMatchObject({ state: "approved", done_at: expect.any(String) });
  expect(await balanceOf(accountId)).toBe(much);
});
