import { expect, test } from "vitest";
import { newId } from "../../../shared/ids.ts";
import { brokenCall, databaseFailures } from "./broken-call.ts";
import { call, newConsumer, refusal } from "./edge-client.ts";

/** More than one operator gives alone. */
const much = 2_000_000_000;

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

test("one operator alone gives up to the limit, and is told how to give more", async () => {
  const { accountId } = await newConsumer();
  const path = `POST /api/v1/accounts/${accountId}/credits`;
  expect((await call(path, { body: { amount_micros: 1_000_000_000 } })).status).toBe(201);
  const error = await refusal(path, { body: { amount_micros: 1_000_000_001 } });
  expect(error).toMatchObject({ status: 403, code: "insufficient_scope" });
  expect(error.message).toContain("POST /api/v1/approvals");
  expect(await balanceOf(accountId)).toBe(1_000_000_000);
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
